"""Keys: what identifies a caller, and what gives nothing away."""

import random
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import pytest

from tests.tenancy.kit import PEPPER, START_S, Base, Ledger, base, family
from tollhouse.errors import AccountSuspended, Fault, RateLimited, Unauthorized
from tollhouse.gateway import auth
from tollhouse.gateway.auth import FAILURE_WINDOW_S, FAILURES_PER_WINDOW, Failures, Keyring
from tollhouse.tenancy.directory import Directory
from tollhouse.types.tenancy import Principal
from tollhouse.web.exchange import Repeated

__all__ = ["base"]


def ring_of(base: Base) -> Keyring:
    """A keyring that knows what the database knows."""
    ring = Keyring(PEPPER, Ledger().number, lambda: base.now_s)
    ring.replace(base.directory())
    return ring


def sent(text: str) -> dict[bytes, bytes]:
    """The headers of a request with a key."""
    return {b"x-api-key": text.encode()}


def refusal(work: Callable[[], object]) -> Fault:
    """The fault that a call ends with."""
    with pytest.raises(Fault) as caught:
        work()
    return caught.value


def told(fault: Fault) -> dict[str, Any]:
    """All that a client sees of a fault."""
    return {"status": fault.status, "headers": fault.headers, **fault.body("req_1")}


def test_a_key_is_accepted_as_bearer_or_x_api_key(base: Base) -> None:
    """Either header identifies, and where both are sent one good key is enough."""
    *_, key_id, text = family(base)
    ring = ring_of(base)
    key = text.encode()
    for headers in (
        {b"authorization": b"Bearer " + key},
        {b"authorization": b"bearer   " + key + b" "},
        {b"x-api-key": key},
        {b"x-api-key": b" " + key + b" "},
        {b"authorization": b"Bearer wrong", b"x-api-key": key},
        {b"authorization": b"Basic abc", b"x-api-key": key},
        {b"authorization": b"Bearer " + key, b"x-api-key": b"wrong"},
        {b"x-goog-api-key": b" " + key},
        {b"authorization": b"Bearer wrong", b"x-api-key": b"wrong", b"x-goog-api-key": key},
    ):
        assert ring.identify(headers).key_id == key_id


@pytest.mark.parametrize(
    "headers",
    [
        {b"authorization": b"Bearer sk-th-nope"},
        {b"authorization": b"Basic abc"},
        {b"authorization": b"Bearer"},
        {b"authorization": b""},
        {b"x-api-key": b""},
        {b"x-api-key": b"' OR 1=1 --"},
        {b"x-api-key": b"\xff\x00"},
        {b"x-goog-api-key": b"sk-th-nope"},
    ],
)
def test_s15_s19_a_wrong_key_is_one_generic_401_that_echoes_nothing(base: Base, headers: dict[bytes, bytes]) -> None:
    """Whatever is wrong with a key, the answer is the same and holds nothing of it."""
    family(base)
    fault = refusal(lambda: ring_of(base).identify(headers))
    assert told(fault) == told(refusal(lambda: ring_of(base).identify(sent("sk-th-unknown"))))
    assert (fault.status, fault.code) == (401, "invalid_api_key")
    for value in headers.values():
        assert not value or value.decode("latin-1") not in fault.message


def test_no_key_at_all_says_how_to_send_one(base: Base) -> None:
    """A request without a key is told where it goes; code is null, as OpenAI's is, and it counts as no guess."""
    ring = ring_of(base)
    for _ in range(FAILURES_PER_WINDOW + 5):
        with pytest.raises(Unauthorized, match="Authorization header") as caught:
            ring.identify({})
        assert caught.value.code is None


def test_s15_revoked_suspended_expired_and_unknown_keys_look_the_same(base: Base) -> None:
    """From outside nobody learns that a key has ever existed."""
    *_, user, key, text = family(base)
    answers = [told(refusal(lambda: ring_of(base).identify(sent("sk-th-unknown"))))]
    base.call("disable", key)
    answers.append(told(refusal(lambda: ring_of(base).identify(sent(text)))))
    base.call("revoke", key)
    answers.append(told(refusal(lambda: ring_of(base).identify(sent(text)))))
    short = base.call("create_key", user, {"name": "short", "expires_at": START_S + 1}).text.reveal()
    base.now_s += 1
    answers.append(told(refusal(lambda: ring_of(base).identify(sent(short)))))
    assert answers == [answers[0]] * 4
    assert answers[0]["status"] == 401


def test_i23_a_revocation_is_in_force_with_the_next_call(base: Base) -> None:
    """A key that has just been used is refused as soon as the directory is replaced; other keys go on."""
    *_, key, text = family(base)
    other = base.call("create_key", "org_default", {"name": "other"})
    ring = ring_of(base)
    assert len(ring) == 2
    assert ring.identify(sent(text)).key_id == key
    base.call("revoke", key)
    ring.replace(base.directory())
    with pytest.raises(Unauthorized):
        ring.identify(sent(text))
    assert ring.identify(sent(other.text.reveal())).key_id == other.view.node.id
    assert len(ring) == 1


def test_what_binds_a_key_follows_a_change_of_what_is_above_it(base: Base) -> None:
    """A narrower team, a new tier, a new permission: the next call is made by who the key is now."""
    _, team, _, key, text = family(base)
    ring = ring_of(base)
    assert ring.identify(sent(text)).models == ()
    base.call("change", team, {"models": ["a/*"], "tier": "free"})
    base.call("change", key, {"permission": "read"})
    ring.replace(base.directory())
    principal = ring.identify(sent(text))
    assert (principal.models, principal.tier, principal.permission) == ((("a/*",),), "free", "read")
    assert ring.identify(sent(text)) is principal


@pytest.mark.parametrize("level", [0, 1, 2])
def test_b3_a_key_of_a_suspended_account_is_told_so(base: Base, level: int) -> None:
    """Organisation, team or user: its keys get 403 ACCOUNT_SUSPENDED, which is no guess, until it is enabled again."""
    line = family(base)
    text = line[-1]
    ring = ring_of(base)
    ring.identify(sent(text))
    base.call("disable", line[level], "unpaid, secretly")
    ring.replace(base.directory())
    for headers in (sent(text), {b"authorization": b"Bearer " + text.encode(), b"x-api-key": b"wrong"}):
        for _ in range(FAILURES_PER_WINDOW + 1):
            with pytest.raises(AccountSuspended) as caught:
                ring.identify(headers, "10.0.0.1")
    assert (caught.value.status, caught.value.error_id) == (403, "ACCOUNT_SUSPENDED")
    assert "unpaid" not in caught.value.message
    other = base.call("create_key", "org_default", {"name": "other"}).text.reveal()
    ring.replace(base.directory())
    both = {b"authorization": b"Bearer " + text.encode(), b"x-api-key": other.encode()}
    assert ring.identify(both).name == "other"
    base.call("enable", line[level])
    ring.replace(base.directory())
    assert ring.identify(sent(text)).key_id == line[3]


def test_a_revoked_or_expired_key_of_a_suspended_account_is_unknown(base: Base) -> None:
    """Only who could come in otherwise is told of the suspension."""
    org, _, user, key, text = family(base)
    short = base.call("create_key", user, {"name": "short", "expires_at": START_S + 10}).text.reveal()
    base.call("disable", org)
    base.call("revoke", key)
    ring = ring_of(base)
    with pytest.raises(AccountSuspended):
        ring.identify(sent(short))
    base.now_s += 10
    for one in (short, text):
        with pytest.raises(Unauthorized):
            ring.identify(sent(one))


def test_a_key_is_valid_up_to_the_moment_of_its_expiry(base: Base) -> None:
    """Expiry needs no reload and no job: the clock alone ends a key, to the fraction of a second."""
    text = base.call("create_key", "org_default", {"name": "k", "expires_at": START_S + 10}).text.reveal()
    ring = ring_of(base)
    base.now_s = START_S + 9.999
    ring.identify(sent(text))
    base.now_s = START_S + 10
    with pytest.raises(Unauthorized):
        ring.identify(sent(text))


def test_who_sent_a_head_that_repeats_is_asked_again_when_the_keys_have_changed(base: Base) -> None:
    """What a connection remembers of its caller holds until the tree changes or the key expires, and no longer."""
    made = base.call("create_key", "org_default", {"name": "k", "expires_at": START_S + 10})
    ring, repeated, headers = ring_of(base), Repeated(), sent(made.text.reveal())
    known = ring.identify_repeated(repeated, headers, "")
    assert ring.identify_repeated(repeated, {}, "") is known
    base.now_s = START_S + 10
    with pytest.raises(Unauthorized):
        ring.identify_repeated(repeated, headers, "")
    base.now_s = START_S
    assert ring.identify_repeated(repeated, headers, "") is known
    ring.replace(Directory())
    with pytest.raises(Unauthorized):
        ring.identify_repeated(repeated, headers, "")


def test_i26_a_clock_that_steps_ends_and_revives_by_one_rule(base: Base) -> None:
    """Keys are judged by the clock that gave them their expiry: a day forth ends a key, and a day back mends it."""
    text = base.call("create_key", "org_default", {"name": "k", "expires_at": START_S + 60}).text.reveal()
    ring = ring_of(base)
    base.now_s += 86_400
    with pytest.raises(Unauthorized):
        ring.identify(sent(text))
    base.now_s -= 86_400
    ring.identify(sent(text))


def test_s23_a_rotated_key_is_known_by_both_texts_for_the_overlap(base: Base) -> None:
    """Both texts are the same key with the same chain; when the overlap ends, only the new one is."""
    *_, key, old = family(base)
    new = base.call("rotate", key, 60).text.reveal()
    ring = ring_of(base)
    one, other = ring.identify(sent(old)), ring.identify(sent(new))
    assert (one.number, one.chain, one.key_id) == (other.number, other.chain, key)
    base.now_s += 60
    with pytest.raises(Unauthorized):
        ring.identify(sent(old))
    assert ring.identify(sent(new)).key_id == key
    newest = base.call("rotate", key, 0).text.reveal()
    ring.replace(base.directory())
    with pytest.raises(Unauthorized):
        ring.identify(sent(new))
    assert ring.identify(sent(newest)).key_id == key


def test_f6_no_directory_makes_no_key_valid_and_an_old_one_keeps_its_own(base: Base) -> None:
    """Before the first reading nobody is known; while the store does not answer, the keys last read stay valid."""
    *_, text = family(base)
    ring = Keyring(PEPPER, Ledger().number)
    with pytest.raises(Unauthorized):
        ring.identify(sent(text))
    ring.replace(base.directory())
    base.db.close()
    assert ring.identify(sent(text)).name == "laptop"


def test_a_chain_is_numbered_only_for_a_key_that_calls(base: Base) -> None:
    """A hundred thousand keys that never call cost the ledger no chain."""
    ledger = Ledger()
    ring = Keyring(PEPPER, ledger.number, lambda: base.now_s)
    texts = [base.call("create_key", "org_default", {"name": "k"}).text.reveal() for _ in range(5)]
    ring.replace(base.directory())
    assert ledger.chains == {}
    for _ in range(3):
        ring.identify(sent(texts[0]))
    assert len(ledger.chains) == 1


class Counted(dict[bytes, Principal]):
    """A table that remembers what was looked up in it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    def get(self, key: bytes, default: Any = None) -> Any:
        """See `dict`."""
        self.asked.append(key)
        return super().get(key, default)


@pytest.mark.interpreted
def test_s01_s03_a_key_is_looked_up_once_by_its_whole_digest(base: Base) -> None:
    """Right or wrong, at the first character or the last, a key is hashed whole and looked up by all 64 bytes: nothing
    that depends on the key's text is compared, so no timing tells how much of it was right.
    """
    *_, text = family(base)
    ring = ring_of(base)
    table = ring._principals = Counted()
    ring.identify(sent(text))
    near = [text[:-1] + chr(ord(text[-1]) ^ 1), "X" + text[1:], text + "x", text[:20], text[6:], text.upper()]
    for one in near:
        with pytest.raises(Unauthorized):
            ring.identify(sent(one))
    assert len(table.asked) == 1 + len(near)
    assert {len(digest) for digest in table.asked} == {64}
    assert len(set(table.asked)) == len(table.asked)
    assert list(table) == [table.asked[0]], "a key that is unknown was remembered"
    assert blake2b(text.encode()).digest() not in table.asked, "the digest of a key can be told from its text alone"
    assert ring.identify(sent(text)).name == "laptop"


def attacks(count: int) -> list[bytes]:
    """Strings that would end, widen or chain an SQL statement if one were made of them."""
    chance = random.Random(2)  # noqa: S311  the same attacks every time
    parts = [
        "'", '"', "`", ";", "--", "/*", "*/", " OR ", "1=1", " UNION SELECT ", "digest", "FROM key_secret", "(", ")",
        "%", "_", "\\", "\x00", "?1", ":a", "@a", "DROP TABLE node", "x'00'", "char(39)", "sk-th-", "\xa0", "'||'",
        "WAITFOR", "\r\n", "0x27", "PRAGMA writable_schema=1", "ATTACH 'x' AS y", "randomblob(99999999)", "\u2019",
    ]  # fmt: skip
    return ["".join(chance.choices(parts, k=chance.randint(1, 8))).encode() for _ in range(count)]


def test_s02_ten_thousand_injections_are_wrong_keys_and_touch_nothing(base: Base) -> None:
    """In either header they get 401, then 429, and neither the database nor the directory notices any of them."""
    *_, text = family(base)
    ring = ring_of(base)
    before, directory, changes = base.dump(), ring.directory, base.db.total_changes()
    statuses: dict[int, int] = {}
    for number, attack in enumerate(attacks(10_000)):
        headers = {b"authorization": b"Bearer " + attack} if number % 2 else {b"x-api-key": attack}
        status = refusal(lambda headers=headers, number=number: ring.identify(headers, f"{number // 50}")).status  # type: ignore[misc]
        statuses[status] = statuses.get(status, 0) + 1
    assert statuses == {401: 10_000}
    assert (base.dump(), ring.directory, base.db.total_changes()) == (before, directory, changes)
    assert ring.identify(sent(text)).name == "laptop"


def test_s16_guessing_keys_is_slowed_and_told_and_harms_nobody_else(base: Base) -> None:
    """Over the budget of a minute wrong keys get 429, once with an alert; good keys and other addresses do not notice,
    and the next minute begins anew.
    """
    clock = [100.0]
    *_, key_id, text = family(base)
    ring = ring_of(base)
    ring.failures = Failures(lambda: clock[0])
    alerts: list[str] = []
    ring.failures.alert = alerts.append
    wrong, good = sent("sk-th-wrong"), sent(text)
    for _ in range(FAILURES_PER_WINDOW):
        with pytest.raises(Unauthorized):
            ring.identify(wrong, "10.0.0.1")
    assert alerts == []
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            ring.identify(wrong, "10.0.0.1")
        assert alerts == ["10.0.0.1"]
    assert caught.value.headers["retry-after"] == str(int(FAILURE_WINDOW_S))
    assert ring.identify(good, "10.0.0.1").key_id == key_id
    with pytest.raises(Unauthorized):
        ring.identify(wrong, "10.0.0.2")
    clock[0] += FAILURE_WINDOW_S
    with pytest.raises(Unauthorized):
        ring.identify(wrong, "10.0.0.1")


def test_s16_the_count_of_addresses_is_bounded() -> None:
    """Guesses from ever new addresses begin the minute anew and never fill the memory."""
    failures = Failures(lambda: 0.0)
    for number in range(auth._MOST_CLIENTS * 2 + 1):
        failures.add(f"{number}")
    assert len(failures._counts) <= auth._MOST_CLIENTS


def test_a_keyring_holds_no_text_of_a_key(base: Base) -> None:
    """What the process keeps of a key that calls is its digest and its principal."""
    *_, text = family(base)
    ring = ring_of(base)
    ring.identify(sent(text))
    kept = repr((ring._principals, ring.directory))
    assert text not in kept
    assert text[6:] not in kept
    assert isinstance(ring.directory, Directory)
