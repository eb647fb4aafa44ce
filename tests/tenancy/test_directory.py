"""The tree in memory: what a key may do is the meet of its chain, and a revision equals reading everything anew."""

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tenancy.kit import PEPPER, START_S, Base, Ledger, family
from tollhouse.stores.tenancy import Rows
from tollhouse.tenancy.directory import Directory, allows_kind, allows_model, covers
from tollhouse.tenancy.keys import digest_key
from tollhouse.types.tenancy import Chain, KeyDetails, KeySecret, Node, Principal

DIGEST = b"d" * 32


def test_an_empty_directory_knows_nobody() -> None:
    """Before anything was read there is no node, no key and no principal."""
    directory = Directory()
    assert directory.principal(DIGEST, Ledger().number) is None
    assert directory.find("org_default") is None
    assert directory.children(None) == ()
    assert list(directory.select("key")) == []


def test_a_principal_is_the_whole_of_what_a_request_needs(base: Base) -> None:
    """Key, chain, permission, nearest tier, every restriction of the chain, and the earliest end."""
    org, team, user, key, text = family(base)
    base.call("change", org, {"models": ["openai/*", "x"], "tier": "paid"})
    base.call("change", team, {"kinds": ["images/*", "embeddings"], "tier": "free"})
    base.call("change", key, {"models": ["x"], "permission": "read", "expires_at": START_S + 50})
    directory = base.directory()
    ledger = Ledger()
    numbers = tuple(directory.numbers[node_id] for node_id in (key, user, team, org))
    assert directory.principal(digest_key(PEPPER, text), ledger.number) == Principal(
        key_id=key,
        name="laptop",
        number=numbers[0],
        chain=Chain(1, numbers, numbers[-1]),
        permission="read",
        tier="free",
        models=(("x",), ("openai/*", "x")),
        kinds=(frozenset({"images/*", "embeddings"}),),
        not_after=START_S + 50,
    )
    assert ledger.chains == {(numbers, numbers[-1]): 1}


def test_a_key_ends_with_its_text_or_itself_whichever_is_first(base: Base) -> None:
    """The old text of a rotated key ends with the overlap, or with the key when that is sooner."""
    *_, key, text = family(base)
    new = base.call("rotate", key, 100).text.reveal()
    ends = []
    for expires_at in (None, START_S + 50, START_S + 500):
        base.call("change", key, {"expires_at": expires_at})
        directory = base.directory()
        for one in (text, new):
            principal = directory.principal(digest_key(PEPPER, one), Ledger().number)
            assert principal is not None
            ends.append(principal.not_after)
    assert ends == [START_S + 100, None, START_S + 50, START_S + 50, START_S + 100, START_S + 500]


def test_a_key_that_is_off_is_nobody_and_one_below_a_suspension_is_somebody_suspended(base: Base) -> None:
    """The two are told apart, because only the second may be told to its holder."""
    org, team, user, key, text = family(base)
    number = base.directory().numbers[key]
    for node_id in (org, team, user):
        base.call("disable", node_id)
        directory = base.directory()
        assert directory.principal(digest_key(PEPPER, text), Ledger().number) is not None
        assert directory.suspended(number)
        base.call("enable", node_id)
    assert not base.directory().suspended(number)
    base.call("disable", key)
    assert base.directory().principal(digest_key(PEPPER, text), Ledger().number) is None


def test_the_tree_is_walked_in_both_directions(base: Base) -> None:
    """Children come oldest first, a subtree parents first, and a line ends at the organisation."""
    org, team, user, key, _ = family(base)
    second = base.call("create_team", org, {"name": "second"}).node.id
    directory = base.directory()
    numbers = directory.numbers
    assert [node.id for node in directory.children(numbers[org])] == [team, second]
    assert [node.id for node in directory.children(None)] == ["org_default", org]
    assert [node.id for node in directory.subtree(numbers[org])] == [org, team, user, key, second]
    assert [node.id for node in directory.line(numbers[key])] == [key, user, team, org]
    assert directory.contains(numbers[org], numbers[key])
    assert not directory.contains(numbers[second], numbers[key])
    assert not directory.contains(numbers[key], numbers[org])


def test_lists_go_on_where_a_page_ended(base: Base) -> None:
    """Nodes of a kind come in the order of their making, from the one after any node."""
    made = [base.call("create_key", "org_default", {"name": f"{number}"}).view.node.id for number in range(5)]
    directory = base.directory()
    assert [view.node.id for view in directory.select("key")] == made
    assert [view.node.id for view in directory.select("org")] == ["org_default"]
    assert [view.node.id for view in directory.select("key", after=made[2])] == made[3:]
    assert [view.node.id for view in directory.select("key", "org_default", made[3])] == made[4:]
    assert list(directory.select("key", after=made[4])) == []
    assert [view.parent_id for view in directory.select("key")] == ["org_default"] * 5


def test_a_directory_never_changes(base: Base) -> None:
    """A revision is another directory; whoever holds the old one sees what it saw."""
    *_, user, key, text = family(base)
    old = base.directory()
    before = replace(old)
    node = replace(old.nodes[old.numbers[key]], disabled_at=1)
    fresh = Node(99, "key_new", "key", old.numbers[user], "n", 1)
    new = old.revise(Rows((node, fresh), (KeySecret(DIGEST, 99, "", 1),), (KeyDetails(99),)))
    assert old == before
    assert new != old
    assert old.principal(digest_key(PEPPER, text), Ledger().number) is not None
    assert new.principal(digest_key(PEPPER, text), Ledger().number) is None
    assert new.principal(DIGEST, Ledger().number) is not None
    with pytest.raises(FrozenInstanceError):
        old.nodes = {}  # type: ignore[misc]
    assert new.revise(Rows()) == new


@pytest.mark.parametrize(
    ("entry", "name", "allowed"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o", "GPT-4o", False),
        ("gpt-4o", "openai/gpt-4o", False),
        ("openai/*", "openai/gpt-4o", True),
        ("openai/*", "openai", False),
        ("openai/*", "openai2/gpt", False),
        ("openai/*", "x/openai/gpt", False),
        ("gpt*", "gpt-5", True),
        ("*", "anything", True),
        ("*", "", True),
        ("a.c", "abc", False),
        ("[a]", "a", False),
    ],
)
def test_an_entry_is_a_name_or_a_beginning(entry: str, name: str, *, allowed: bool) -> None:
    """Only a star at the end is more than itself; nothing is a pattern of any other kind."""
    assert covers(entry, name) is allowed


def test_a_key_without_restrictions_may_call_everything() -> None:
    """No entry means no limit, for models and for endpoints."""
    free = Principal("key_x", "x")
    assert allows_model(free, "anything", "host/anything")
    assert allows_kind(free, "embeddings")


NAMES = st.sampled_from(["a/x", "a/y", "b/x", "x", "y", "ab/z"])
ENTRIES = st.lists(st.one_of(NAMES, st.sampled_from(["a/*", "a*", "b/*", "*", "x*", "ab/*"])), min_size=1, max_size=4)
LIMITS = st.one_of(st.none(), ENTRIES.map(tuple))
LINE = st.lists(st.tuples(LIMITS, LIMITS), min_size=2, max_size=4)


def names_of(entries: tuple[str, ...] | None) -> set[str]:
    """The model of a restriction: the set of names that it allows, counted out one by one."""
    every = {"a/x", "a/y", "b/x", "x", "y", "ab/z"}
    if entries is None:
        return every
    allowed = set()
    for entry in entries:
        stem, star = (entry[:-1], True) if entry[-1] == "*" else (entry, False)
        allowed |= {name for name in every if name == stem or (star and name[: len(stem)] == stem)}
    return allowed


@given(LINE, st.sets(NAMES, min_size=1, max_size=3))
def test_s08_what_a_key_may_call_is_the_intersection_of_its_chain(
    limits: list[tuple[tuple[str, ...] | None, tuple[str, ...] | None]], names: set[str]
) -> None:
    """Whatever the nodes say and in whatever order they were written, a wide child under a narrow parent is narrow."""
    kinds = [*("org", "team", "user")[: len(limits) - 1], "key"]
    nodes = tuple(
        Node(number, f"n_{number}", kind, number - 1 or None, "n", 1, models=models, kinds=own)
        for number, (kind, (models, own)) in enumerate(zip(kinds, limits, strict=True), start=1)
    )
    key = nodes[-1].number
    directory = Directory().revise(Rows(nodes, (KeySecret(DIGEST, key, "", 1),), (KeyDetails(key),)))
    principal = directory.principal(DIGEST, Ledger().number)
    assert principal is not None
    expected = set.intersection(*(names_of(models) for models, _ in limits))
    assert {name for name in names if allows_model(principal, name)} == names & expected
    assert allows_model(principal, *names) == all(names & names_of(models) for models, _ in limits)
    possible = set.intersection(*(names_of(own) for _, own in limits))
    assert {name for name in names if allows_kind(principal, name)} == names & possible
