"""The wallet alone: what binds, what is taken, what is given back."""

import pytest

from tollhouse.ledger.wallet import Purse, Shortage, Wallet
from tollhouse.types.tenancy import Budget, Chain, Node

NOON_S = 1_795_262_400
DAY_S = 86_400
CHAIN = Chain(1, (3, 2), 2)


def wallet(budget: Budget | None = None, *, posted: int = 1_000, may_owe: bool = False) -> Wallet:
    """A wallet of one organisation with one key."""
    made = Wallet()
    made.set_purse(2, Purse(7, posted, allow_debt=may_owe))
    made.set_budgets(nodes(budget))
    return made


def nodes(budget: Budget | None) -> dict[int, Node]:
    """The tree: an organisation and a key."""
    return {2: Node(2, "org_a", "org", None, "", 0), 3: Node(3, "key_a", "key", 2, "", 0, budget)}


def test_a_purse_bounds_what_can_be_taken_to_the_last_unit() -> None:
    """Exactly what is there can be held, and not one nano-USD more."""
    made = wallet(posted=100)
    made.take(CHAIN, 100, NOON_S)
    with pytest.raises(Shortage) as short:
        made.take(CHAIN, 1, NOON_S)
    assert short.value.available == 0
    assert made.available(CHAIN, NOON_S) == 0


def test_nothing_can_always_be_taken() -> None:
    """A hold of zero passes when everything is spent."""
    made = wallet(Budget(0), posted=0)
    grip = made.take(CHAIN, 0, NOON_S)
    made.settle(grip, 0)
    assert made.available(CHAIN, NOON_S) == 0


def test_a_budget_binds_where_the_purse_does_not() -> None:
    """An organisation that may owe is bound by budgets alone, and by nothing without one."""
    assert wallet(may_owe=True).available(CHAIN, NOON_S) is None
    made = wallet(Budget(50), may_owe=True)
    with pytest.raises(Shortage) as short:
        made.take(CHAIN, 51, NOON_S)
    assert short.value.window is not None
    assert (short.value.window.node, short.value.available) == (3, 50)
    made.settle(made.take(CHAIN, 50, NOON_S), 20)
    assert made.available(CHAIN, NOON_S) == 30
    made.take(CHAIN, 10, NOON_S)
    with pytest.raises(Shortage) as short:
        made.take(CHAIN, 21, NOON_S)
    assert short.value.available == 20
    made.take(CHAIN, 20, NOON_S)
    assert made.available(CHAIN, NOON_S) == 0


def test_a_debt_is_never_shown_as_something_to_spend() -> None:
    """A purse below zero, and a window over its limit, have nothing available."""
    made = wallet(Budget(10), posted=-5)
    assert made.available(CHAIN, NOON_S) == 0
    made = wallet(Budget(100))
    made.settle(made.take(CHAIN, 60, NOON_S), 60)
    made.set_budgets(nodes(Budget(50)))
    assert made.available(CHAIN, NOON_S) == 0


def test_a_charge_counts_in_the_period_in_which_it_was_held() -> None:
    """A hold taken before midnight and settled after it leaves the new day's budget whole."""
    made = wallet(Budget(100, "day"))
    grip = made.take(CHAIN, 80, NOON_S)
    assert made.available(CHAIN, NOON_S + DAY_S) == 100
    made.settle(grip, 80)
    assert made.available(CHAIN, NOON_S + DAY_S) == 100
    assert made.available(CHAIN, NOON_S) == 20


def test_what_was_spent_before_the_start_is_known() -> None:
    """A window opens with the sum that the store has for it, and a forgotten one with nothing."""
    midnight = NOON_S - DAY_S // 2
    made = Wallet({(3, midnight): 70, (9, midnight): 1})
    made.set_purse(2, Purse(7, 1_000, allow_debt=False))
    assert made.set_budgets(nodes(Budget(100, "day"))) == [3]
    assert made.available(CHAIN, NOON_S) == 30
    made.forget(3)
    made.set_budgets({})
    assert made.set_budgets(nodes(Budget(100, "day"))) == [3]
    assert made.available(CHAIN, NOON_S) == 100


def test_a_budget_is_new_when_its_periods_are() -> None:
    """Another limit is the same budget; another period or zone, or a first one, is to be counted anew."""
    made = wallet(Budget(100, "day"))
    assert made.set_budgets(nodes(Budget(90, "day"))) == []
    assert made.set_budgets(nodes(Budget(90, "week"))) == [3]
    assert made.set_budgets(nodes(Budget(90, "week", "Asia/Tokyo"))) == [3]
    assert made.set_budgets(nodes(None)) == []
    assert made.set_budgets(nodes(Budget(90, "week", "Asia/Tokyo"))) == [3]


def test_old_periods_are_let_go_unless_something_is_held_in_them() -> None:
    """A node keeps a few periods, and any in which a hold is open: its settlement finds its window."""
    made = wallet(Budget(100, "day"), posted=10_000)
    held = made.take(CHAIN, 30, NOON_S)
    for day in range(1, 40):
        made.settle(made.take(CHAIN, 1, NOON_S + day * DAY_S), 1)
    assert made.available(CHAIN, NOON_S) == 70
    made.settle(held, 10)
    assert held.windows[0].spent == 10
    assert len(made._meters[3].windows) == 5


def test_an_open_hold_comes_under_a_budget_that_is_new() -> None:
    """`bind` counts a hold of the same chain in the window in whose period it was taken, and no other."""
    made = wallet()
    grip = made.take(CHAIN, 40, NOON_S)
    made.set_budgets(nodes(Budget(100, "day")))
    window = made.window(3, NOON_S)
    made.bind(grip, made.window(3, NOON_S + DAY_S), NOON_S)
    assert not grip.windows
    made.bind(grip, window, NOON_S)
    made.bind(grip, window, NOON_S)
    window.held -= 40
    assert grip.windows == (window,)
    other = made.take(Chain(2, (8, 2), 2), 5, NOON_S)
    made.bind(other, window, NOON_S)
    assert (window.held, made.available(CHAIN, NOON_S)) == (40, 60)
    made.settle(grip, 25)
    made.give_back(grip, 25, NOON_S)
    assert (window.held, window.spent) == (0, 0)
    assert other.windows == ()


def test_the_ends_of_a_period_belong_to_one_period_each() -> None:
    """The first instant of a day is that day's, the last is too, and the next is the next day's."""
    made = wallet(Budget(100, "day"))
    midnight = NOON_S - DAY_S // 2
    first, last, after = (made.window(3, at) for at in (midnight, midnight + DAY_S - 0.001, midnight + DAY_S))
    assert first is last is made.window(3, midnight)
    assert after.start_s == midnight + DAY_S
    grip = made.take(Chain(1, (3, 2), 2), 10, midnight)
    made.bind(grip, after, midnight + DAY_S)
    assert after.held == 10
    made.bind(grip, first, midnight + DAY_S)
    assert (grip.windows, first.held) == ((), 10)


def test_a_changed_limit_holds_for_the_periods_to_come() -> None:
    """The next day's window has the limit as it was changed today."""
    made = wallet(Budget(100, "day"))
    made.take(CHAIN, 10, NOON_S)
    made.set_budgets(nodes(Budget(70, "day")))
    assert made.available(CHAIN, NOON_S + DAY_S) == 70


def test_the_newest_periods_are_kept_however_the_clock_jumps() -> None:
    """A clock that steps back through several days loses nothing of the newest."""
    made = wallet(Budget(100, "day"), posted=10_000)
    for day in (9, 1, 2, 3, 4):
        made.settle(made.take(CHAIN, day, NOON_S + day * DAY_S), day)
    assert [window.spent for window in made._meters[3].windows] == [2, 3, 4, 9]
    assert made.available(CHAIN, NOON_S + 9 * DAY_S) == 91


def test_what_is_undone_is_given_back_to_the_budgets_that_counted_it() -> None:
    """Also to one that is new and in whose period it was taken, and to none that began to count later."""
    made = wallet(posted=1_000)
    grip = made.take(CHAIN, 40, NOON_S)
    made.settle(grip, 40)
    made.set_budgets(nodes(Budget(100, "day")))
    tomorrow = made.window(3, NOON_S + DAY_S)
    made.give_back(grip, 40, NOON_S)
    assert (grip.windows, tomorrow.spent, made.purses[2].posted) == ((), 0, 1_000)
    today = made.window(3, NOON_S)
    for at_s, windows in ((today.start_s, (today,)), (today.end_s, (tomorrow,))):
        made.give_back(grip, 1, at_s)
        assert grip.windows == windows
    assert (today.spent, tomorrow.spent) == (-1, -1)


def test_money_that_is_moved_is_not_spent() -> None:
    """A movement holds an organisation's money and none of its budgets, and more than there is is refused."""
    made = wallet()
    made.set_budgets(nodes(Budget(100, "day")))
    room = made.available(CHAIN, NOON_S)
    grip = made.take_money(CHAIN.payer, 0)
    made.settle(grip, -40)
    assert grip.windows == ()
    assert made.window(3, NOON_S).spent == 0
    assert made.available(CHAIN, NOON_S) == room
    money = made.purses[CHAIN.payer].available
    assert money is not None
    with pytest.raises(Shortage) as short:
        made.take_money(CHAIN.payer, money + 1)
    assert short.value.available == money
