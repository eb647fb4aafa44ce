"""The wallet at its edges: what is remembered of a chain is never out of date, and no bound is off by one."""

import pytest

from tollhouse.ledger.wallet import Purse, Shortage, Wallet
from tollhouse.types.tenancy import Budget, Chain, Node

NOON_S = 1_795_262_400
DAY_S = 86_400
MIDNIGHT_S = NOON_S + DAY_S // 2
ORG, ONE, OTHER = 2, 3, 4
CHAIN, NEIGHBOUR = Chain(1, (ONE, ORG), ORG), Chain(2, (OTHER, ORG), ORG)


def wallet(budgets: dict[int, Budget], *, posted: int = 10_000, may_owe: bool = False) -> Wallet:
    """An organisation with two keys."""
    made = Wallet()
    made.set_purse(ORG, Purse(7, posted, allow_debt=may_owe))
    made.set_budgets(
        {
            ORG: Node(ORG, "org_a", "org", None, "", 0, budgets.get(ORG)),
            ONE: Node(ONE, "key_a", "key", ORG, "", 0, budgets.get(ONE)),
            OTHER: Node(OTHER, "key_b", "key", ORG, "", 0, budgets.get(OTHER)),
        }
    )
    return made


def spend(made: Wallet, chain: Chain, amount: int, now_s: float) -> None:
    """A charge."""
    made.settle(made.take(chain, amount, now_s), amount)


def refusal(made: Wallet, chain: Chain, amount: int, now_s: float = NOON_S) -> int:
    """What is said to be there when an amount is refused."""
    with pytest.raises(Shortage) as short:
        made.take(chain, amount, now_s)
    return short.value.available


def test_a_refusal_says_what_there_is_and_never_less_than_nothing() -> None:
    """Of a budget that has spent and holds, of one beyond its limit, of a purse in debt."""
    made = wallet({ONE: Budget(100)})
    spend(made, CHAIN, 20, NOON_S)
    made.take(CHAIN, 30, NOON_S)
    assert refusal(made, CHAIN, 51) == 50
    over = wallet({ONE: Budget(10)})
    over.window(ONE, NOON_S).spent = 17
    assert refusal(over, CHAIN, 1) == 0
    assert refusal(wallet({}, posted=-5), CHAIN, 1) == 0
    assert wallet({}, posted=-5).available(CHAIN, NOON_S) == 0


def test_the_last_unit_is_available() -> None:
    """One nano-USD of a purse, of a budget, and then none."""
    made = wallet({ONE: Budget(1)})
    assert made.available(CHAIN, NOON_S) == 1
    made.take(CHAIN, 1, NOON_S)
    assert made.available(CHAIN, NOON_S) == 0
    assert wallet({}, posted=1).available(CHAIN, NOON_S) == 1


@pytest.mark.parametrize("least", [ORG, ONE])
def test_the_narrowest_bound_counts_wherever_it_is(least: int) -> None:
    """The key's or the organisation's, whichever has less left."""
    made = wallet({ORG: Budget(50), ONE: Budget(50), least: Budget(40)})
    assert made.available(CHAIN, NOON_S) == 40
    with pytest.raises(Shortage) as short:
        made.take(CHAIN, 41, NOON_S)
    assert short.value.window is not None
    assert short.value.window.node == least


def test_a_day_ends_for_a_chain_that_is_remembered() -> None:
    """At its last instant the day's budget binds, at the next midnight a new one, though the month is the same."""
    made = wallet({ORG: Budget(1_000, "month"), ONE: Budget(100, "day")})
    spend(made, CHAIN, 60, NOON_S)
    assert [made.available(CHAIN, at) for at in (MIDNIGHT_S - 0.001, MIDNIGHT_S)] == [40, 100]


def test_a_clock_that_steps_back_finds_the_day_before() -> None:
    """Though the chain is remembered with today's window, and the month's began earlier."""
    made = wallet({ORG: Budget(1_000, "month"), ONE: Budget(100, "day")})
    spend(made, CHAIN, 60, NOON_S)
    assert made.available(CHAIN, NOON_S - DAY_S) == 100
    assert made.available(CHAIN, NOON_S) == 40


def test_two_chains_never_have_two_windows_of_one_period() -> None:
    """Whatever was let go meanwhile: what one key spends of its organisation's day, the other finds spent."""
    made = wallet({ORG: Budget(100, "day")})
    spend(made, CHAIN, 30, NOON_S)
    for day in range(1, 9):
        spend(made, NEIGHBOUR, 1, NOON_S + day * DAY_S)
    assert made.available(NEIGHBOUR, NOON_S) == 70
    spend(made, NEIGHBOUR, 50, NOON_S)
    assert made.available(CHAIN, NOON_S) == 20
    assert refusal(made, CHAIN, 21) == 20


def test_a_purse_that_is_set_anew_is_the_one_that_pays() -> None:
    """Though the chain was asked for before."""
    made = wallet({}, posted=100)
    assert made.available(CHAIN, NOON_S) == 100
    made.set_purse(ORG, Purse(7, 40, allow_debt=False))
    assert made.available(CHAIN, NOON_S) == 40
    assert refusal(made, CHAIN, 41) == 40


def test_who_may_owe_may_be_debited() -> None:
    """A movement of any size; the one who prepays can give what is there, to the last unit."""
    owing = wallet({}, posted=0, may_owe=True)
    owing.settle(owing.take_money(ORG, 10**12), 10**12)
    assert owing.purses[ORG].posted == -(10**12)
    made = wallet({ORG: Budget(1)}, posted=100)
    with pytest.raises(Shortage) as short:
        made.take_money(ORG, 101)
    assert (short.value.available, short.value.window) == (100, None)
    grip = made.take_money(ORG, 100)
    assert (made.purses[ORG].held, grip.windows) == (100, ())
