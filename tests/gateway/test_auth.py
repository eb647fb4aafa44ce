"""Keys: what identifies a caller, and what gives nothing away."""

from pathlib import Path

import pytest

from tollhouse.errors import RateLimited, StorageUnavailable, Unauthorized
from tollhouse.gateway.auth import FAILURE_WINDOW_S, FAILURES_PER_WINDOW, Failures, Keyring, digest_key, mint_key
from tollhouse.stores.memory import MemoryStore
from tollhouse.stores.sqlite import SqliteStore

PEPPER = b"p" * 32


def make(name: str = "app") -> tuple[MemoryStore, str, str]:
    """A store with one key: the store, the key's text and id."""
    store = MemoryStore()
    text, record = mint_key(PEPPER, name, 1)
    store.add_key(record)
    return store, text, record.id


def test_a_key_is_accepted_as_bearer_or_x_api_key() -> None:
    """Either header identifies, and where both are sent one good key is enough."""
    store, text, key_id = make()
    ring = Keyring(store, PEPPER)
    key = text.encode()
    for headers in (
        {b"authorization": b"Bearer " + key},
        {b"authorization": b"bearer   " + key + b" "},
        {b"x-api-key": key},
        {b"authorization": b"Bearer wrong", b"x-api-key": key},
        {b"authorization": b"Bearer " + key, b"x-api-key": b"wrong"},
    ):
        assert ring.identify(headers).key_id == key_id


@pytest.mark.parametrize(
    "headers",
    [
        {b"authorization": b"Bearer sk-th-nope"},
        {b"authorization": b"Basic abc"},
        {b"authorization": b"Bearer"},
        {b"authorization": b""},
        {b"x-api-key": b"' OR 1=1 --"},
        {b"x-api-key": b"\xff\x00"},
    ],
)
def test_s15_s19_a_wrong_key_is_one_generic_401_that_echoes_nothing(headers: dict[bytes, bytes]) -> None:
    """Whatever is wrong with a key, the answer is the same and holds nothing of it."""
    ring = Keyring(make()[0], PEPPER)
    with pytest.raises(Unauthorized) as caught:
        ring.identify(headers)
    assert caught.value.code == "invalid_api_key"
    for value in headers.values():
        assert not value or value.decode("latin-1") not in caught.value.message


def test_no_key_at_all_says_how_to_send_one() -> None:
    """A request without a key is told where it goes; code is null, as OpenAI's is."""
    with pytest.raises(Unauthorized, match="Authorization header") as caught:
        Keyring(make()[0], PEPPER).identify({})
    assert caught.value.code is None


def test_a_revoked_key_is_refused_like_an_unknown_one() -> None:
    """After a revocation and a refresh the key is as good as never made."""
    store, text, key_id = make()
    ring = Keyring(store, PEPPER)
    store.revoke_key(key_id, 2)
    ring.refresh()
    with pytest.raises(Unauthorized) as revoked:
        ring.identify({b"x-api-key": text.encode()})
    with pytest.raises(Unauthorized) as unknown:
        ring.identify({b"x-api-key": b"sk-th-unknown"})
    assert revoked.value.message == unknown.value.message
    assert len(ring) == 0


def test_s01_keys_are_random_and_stored_only_as_a_keyed_digest(tmp_path: Path) -> None:
    """A key holds 256 random bits; the database holds neither it nor a digest that works without the pepper."""
    store = SqliteStore(tmp_path / "t.db")
    texts = set()
    for _ in range(20):
        text, record = mint_key(PEPPER, "n", 1)
        store.add_key(record)
        texts.add(text)
        assert len(text) == len("sk-th-") + 43
        assert record.digest == digest_key(PEPPER, text) != digest_key(b"q" * 32, text)
    store.close()
    assert len(texts) == 20
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not any(text.encode() in raw for text in texts)


class BrokenStore(MemoryStore):
    """A store whose database has gone away."""

    broken = False

    def version(self) -> int:
        """Raises when broken."""
        if self.broken:
            raise StorageUnavailable("gone")
        return super().version()


def test_f6_a_store_that_is_down_never_makes_a_good_key_bad() -> None:
    """While the store does not answer, the keys last read stay valid."""
    store = BrokenStore()
    text, record = mint_key(PEPPER, "n", 1)
    store.add_key(record)
    ring = Keyring(store, PEPPER)
    store.broken = True
    with pytest.raises(StorageUnavailable):
        ring.refresh()
    assert ring.identify({b"x-api-key": text.encode()}).key_id == record.id


def test_s16_guessing_keys_is_slowed_and_told_and_harms_nobody_else() -> None:
    """Over the budget of a minute wrong keys get 429, once with an alert; good keys and other addresses do not notice,
    and the next minute begins anew.
    """
    clock = [100.0]
    store, text, key_id = make()
    ring = Keyring(store, PEPPER)
    ring.failures = Failures(lambda: clock[0])
    alerts: list[str] = []
    ring.failures.alert = alerts.append
    wrong, good = {b"x-api-key": b"sk-th-wrong"}, {b"x-api-key": text.encode()}
    for _ in range(FAILURES_PER_WINDOW):
        with pytest.raises(Unauthorized):
            ring.identify(wrong, "10.0.0.1")
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            ring.identify(wrong, "10.0.0.1")
    assert caught.value.headers["retry-after"] == str(int(FAILURE_WINDOW_S))
    assert alerts == ["10.0.0.1"]
    assert ring.identify(good, "10.0.0.1").key_id == key_id
    with pytest.raises(Unauthorized):
        ring.identify(wrong, "10.0.0.2")
    clock[0] += FAILURE_WINDOW_S
    with pytest.raises(Unauthorized):
        ring.identify(wrong, "10.0.0.1")
