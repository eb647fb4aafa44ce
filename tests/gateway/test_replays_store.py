"""The store of answers as the gate has it: swept in time, and careful with what it cannot read."""

from pathlib import Path

import msgspec

from tests.gateway.counting_house import PRICE, House, opened_house
from tollhouse.dialects.client import Identity
from tollhouse.gateway import replays
from tollhouse.gateway.replay_wishes import Wish
from tollhouse.gateway.replays import EVENTS, INNER, SWEEP_S, Record, Replays
from tollhouse.settings.replay import Replay
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.calls import Usage

KEYS = Replay(seed=True)


class Clock:
    """The Unix time as a test sets it."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now_s


def wish(name: bytes = b"a", age_s: int = 100, *, native: bool = False) -> Wish:
    """A wish of the default organisation's."""
    return Wish("seed", 1, name * 32, b"n" * 32 if native else None, age_s)


def record(text: str = "hi", form: str = INNER) -> Record:
    """An answer."""
    answer = msgspec.Raw(msgspec.json.encode(text))
    return Record(form, Identity("chatcmpl-1", 1), "up/m", Usage(1, 2), None, PRICE.body, answer)


def opened(house: House) -> tuple[Replays, Clock]:
    """A store with a clock of the test's."""
    clock = Clock()
    return Replays(house.ledger, Metrics(), clock), clock


async def test_what_was_kept_is_found_with_its_age(tmp_path: Path) -> None:
    """The record comes back as it was, and says how old it is; also after the file was opened anew."""
    async with opened_house(tmp_path) as house:
        store, clock = opened(house)
        await store.keep(wish(), record(), "req_1", KEYS)
        clock.now_s += 7
        found = await store.find(wish())
        assert found is not None
        assert (found.record, found.request_id, found.age_s) == (record(), "req_1", 7)
    async with opened_house(tmp_path) as house:
        store, clock = opened(house)
        assert await store.find(wish()) is not None
        clock.now_s += 100
        assert await store.find(wish()) is None


async def test_a_native_answer_is_kept_apart(tmp_path: Path) -> None:
    """It is under the dialect's own digest: a client of another dialect does not find it."""
    async with opened_house(tmp_path) as house:
        store, _ = opened(house)
        await store.keep(wish(native=True), record(form=EVENTS), "req_1", KEYS)
        assert await store.find(wish()) is None
        assert await store.find(wish(native=True)) is not None


async def test_an_answer_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    """A row that another version has written is as if it were not there."""
    async with opened_house(tmp_path) as house:
        store, _ = opened(house)
        await store.keep(wish(), record(), "req_1", KEYS)
        for damage in (b"{}", b"\xff", b'{"form":"inner"}'):
            await house.ledger.write(lambda db, to=damage: db.execute("UPDATE replay SET answer = ?", (to,)))  # type: ignore[misc]
            assert await store.find(wish()) is None


async def test_the_sweep_deletes_what_has_ended(tmp_path: Path) -> None:
    """Every ten minutes, in pieces; what has time left stays."""
    async with opened_house(tmp_path) as house:
        store, clock = opened(house)
        many = 2 * replays._SWEEP_ROWS + 3
        for number in range(many):
            await store.keep(wish(number.to_bytes(1, "big")), record(), "req_1", KEYS)
        await store.keep(wish(b"\xff", 10 * SWEEP_S), record(), "req_1", KEYS)
        assert await store.sweep() == 0
        clock.now_s += 100
        assert await store.sweep() == 0
        clock.now_s += SWEEP_S
        assert await store.sweep() == many
        assert house.count("SELECT count(*) FROM replay") == 1
        clock.now_s -= 10 * SWEEP_S  # the clock was set back
        assert await store.sweep() == 0
