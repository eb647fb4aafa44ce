"""The tree's rows on a real SQLite: what comes back, what cannot be changed, and where old keys went."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import apsw
import pytest

from tollhouse.stores import tenancy as store
from tollhouse.stores.schema import MIGRATIONS
from tollhouse.stores.tenancy import AuditRow
from tollhouse.types.tenancy import Budget, KeyDetails, KeySecret, Node


@pytest.fixture
def db(tmp_path: Path) -> Iterator[apsw.Connection]:
    """A database with the schema of today."""
    connection = apsw.Connection(str(tmp_path / "t.db"))
    connection.execute("PRAGMA foreign_keys=ON")
    for script in MIGRATIONS:
        connection.execute(script)
    yield connection
    connection.close()


def node(kind: str, parent: int | None, name: str) -> Node:
    """A node to store."""
    return Node(0, f"{kind}_{name}", kind, parent, name, 7, billing="prepaid" if kind == "org" else None)


def plant(db: apsw.Connection) -> tuple[int, int, int]:
    """An organisation, a team and a key: their numbers."""
    org = store.insert_node(db, node("org", None, "a"))
    team = store.insert_node(db, node("team", org, "t"))
    key = store.insert_node(db, node("key", team, "k"))
    store.insert_details(db, KeyDetails(key, "read", 99, "ada"))
    store.add_secret(db, KeySecret(b"d" * 32, key, "sk-...abcd", 7))
    return org, team, key


def test_a_new_database_has_the_default_organisation_and_no_key(db: apsw.Connection) -> None:
    """Without any set-up there is one organisation, number 1, that is billed afterwards."""
    rows = store.read_all(db)
    assert [(one.number, one.id, one.billing, one.budget) for one in rows.nodes] == [
        (1, store.DEFAULT_ORG, "postpaid", None)
    ]
    assert not rows.secrets
    assert not rows.details


def test_a_node_comes_back_as_it_was_stored(db: apsw.Connection) -> None:
    """Budget, lists, tier and billing survive the database, and numbers count up."""
    whole = Node(
        number=0,
        id="org_x",
        kind="org",
        parent=None,
        name="Zoë \U0001f980",
        created_at=7,
        budget=Budget(5_000_000_000, "month", "Europe/Berlin"),
        models=("openai/*", "gpt-4o"),
        kinds=("embeddings",),
        tier="free",
        billing="prepaid",
    )
    number = store.insert_node(db, whole)
    assert number == 2
    (found,) = store.read_line(db, "org_x")
    assert found == Node(number, *(getattr(whole, field.name) for field in fields(Node) if field.name != "number"))
    assert store.read_all(db).nodes[1] == found


def test_a_line_runs_from_a_node_to_its_organisation(db: apsw.Connection) -> None:
    """The key is first and the organisation last; an unknown id has no line."""
    org, team, key = plant(db)
    assert [one.number for one in store.read_line(db, "key_k")] == [key, team, org]
    assert store.read_line(db, "key_none") == ()
    assert [one.number for one in store.read_subtree(db, org)] == [org, team, key]
    assert [one.number for one in store.read_subtree(db, 1)] == [1]


def test_a_key_has_details_and_texts_and_others_have_not(db: apsw.Connection) -> None:
    """What a key has beside its node is read by its number, its texts oldest first."""
    org, _, key = plant(db)
    store.add_secret(db, KeySecret(b"a" * 32, key, "sk-...new1", 8, 50))
    assert store.read_details(db, key) == KeyDetails(key, "read", 99, "ada")
    assert store.read_details(db, org) is None
    assert [one.hint for one in store.read_secrets(db, key)] == ["sk-...abcd", "sk-...new1"]
    assert store.read_secrets(db, org) == ()


def test_texts_expire_at_the_sooner_of_two_moments(db: apsw.Connection) -> None:
    """Letting all texts of a key expire never lengthens one, and leaves other keys alone."""
    _, team, key = plant(db)
    other = store.insert_node(db, node("key", team, "other"))
    store.add_secret(db, KeySecret(b"b" * 32, other, "", 7))
    store.add_secret(db, KeySecret(b"a" * 32, key, "", 8, 50))
    store.expire_secrets(db, key, 60)
    assert [one.expires_at for one in store.read_secrets(db, key)] == [60, 50]
    assert [one.expires_at for one in store.read_secrets(db, other)] == [None]


def test_what_may_be_changed_is_a_list_and_nothing_else_is(db: apsw.Connection) -> None:
    """Each field on the list is set; a field that is not on it writes nothing, also of those beside it (S07)."""
    _, team, key = plant(db)
    fields = {
        "name": "new",
        "budget": Budget(1, "day", "UTC"),
        "models": ("a", "b"),
        "kinds": None,
        "tier": "paid",
        "permission": "write",
        "expires_at": None,
        "owner": "bob",
    }
    store.update_node(db, key, fields)
    (found, *_) = store.read_line(db, "key_k")
    assert {name: getattr(found, name) for name in ("name", "budget", "models", "kinds", "tier")} == {
        name: fields[name] for name in ("name", "budget", "models", "kinds", "tier")
    }
    assert store.read_details(db, key) == KeyDetails(key, "write", None, "bob")
    before = store.read_all(db)
    for name in (
        "id",
        "number",
        "kind",
        "parent",
        "created_at",
        "disabled_at",
        "digest",
        "budget_nusd",
        "name = '' --",
    ):
        with pytest.raises(KeyError):
            store.update_node(db, team, {"name": "stolen", name: 1})
    assert store.read_all(db) == before


def test_a_node_is_switched_off_and_on(db: apsw.Connection) -> None:
    """The moment and the reason are kept while it is off."""
    org, *_ = plant(db)
    store.disable_node(db, org, 123, "unpaid")
    assert [(one.disabled_at, one.disabled_reason) for one in store.read_line(db, "org_a")] == [(123, "unpaid")]
    store.enable_node(db, org)
    assert [(one.disabled_at, one.disabled_reason) for one in store.read_line(db, "org_a")] == [(None, "")]


def test_an_account_may_owe_only_after_it_was_said(db: apsw.Connection) -> None:
    """The database's own floor under one account is lifted by its organisation's id, and under no other."""
    for name in ("org:org_a", "org:org_ab"):
        db.execute("INSERT INTO account (name, allow_debt) VALUES (?, 0)", (name,))
    store.allow_debt(db, "org_a")
    assert dict(db.execute("SELECT name, allow_debt FROM account")) == {"org:org_a": 1, "org:org_ab": 0}


def test_audit_rows_come_in_pages_newest_first_and_stay(db: apsw.Connection) -> None:
    """A page ends before a given row, of all subjects or of one, and no row can be changed or deleted."""
    for number in range(5):
        store.insert_audit(db, AuditRow(0, number, "me", "org.create", f"org_{number % 2}", {"n": number}))
    assert [row.id for row in store.read_audit(db, limit=2)] == [5, 4]
    assert [row.id for row in store.read_audit(db, before=4)] == [3, 2, 1]
    assert [row.detail for row in store.read_audit(db, subject="org_1")] == [{"n": 3}, {"n": 1}]
    for statement in ("UPDATE audit SET actor = 'you'", "DELETE FROM audit"):
        with pytest.raises(apsw.ConstraintError, match="never"):
            db.execute(statement)


def test_a_tree_that_makes_no_sense_is_refused_by_the_database(db: apsw.Connection) -> None:
    """A team or an organisation in the wrong place, an unknown parent or kind, and an unbilled root are not stored."""
    for wrong in (node("team", None, "x"), node("org", 1, "x"), node("key", 999, "x"), node("dept", 1, "x")):
        with pytest.raises(apsw.ConstraintError):
            store.insert_node(db, wrong)
    with pytest.raises(apsw.ConstraintError):
        store.insert_node(db, Node(0, "org_y", "org", None, "y", 1))


def test_keys_of_an_old_database_keep_working_and_revoked_ones_stay_so(tmp_path: Path) -> None:
    """The migration makes each old key a node of the default organisation with the same id, digest and fate."""
    old = apsw.Connection(str(tmp_path / "old.db"))
    old.execute(MIGRATIONS[0])
    for number, revoked_at in ((1, None), (2, 555), (3, None)):
        row = (f"key_{number}", bytes([number]) * 32, f"sk-th-...{number}", f"name {number}", 10 - number, revoked_at)
        old.execute("INSERT INTO key VALUES (?, ?, ?, ?, ?, ?)", row)
    for script in MIGRATIONS[1:]:
        old.execute(script)
    rows = store.read_all(old)
    keys = {one.id: one for one in rows.nodes if one.kind == "key"}
    assert {one.id: (one.name, one.created_at, one.parent) for one in keys.values()} == {
        f"key_{number}": (f"name {number}", 10 - number, 1) for number in (1, 2, 3)
    }
    assert {one.id: (one.disabled_at, one.disabled_reason) for one in keys.values()} == {
        "key_1": (None, ""),
        "key_2": (555, "revoked"),
        "key_3": (None, ""),
    }
    assert {(one.digest, one.key, one.hint, one.expires_at) for one in rows.secrets} == {
        (bytes([number]) * 32, keys[f"key_{number}"].number, f"sk-th-...{number}", None) for number in (1, 2, 3)
    }
    assert {(one.number, one.permission) for one in rows.details} == {(one.number, "write") for one in keys.values()}
    assert not list(old.execute("SELECT 1 FROM sqlite_master WHERE name = 'key'"))
    old.close()


def test_looking_up_a_node_or_a_key_reads_no_table_from_end_to_end(db: apsw.Connection) -> None:
    """What an operator does to one key costs the same among ten keys and ten million: every step is by an index."""
    for query in (store._LINE, store._SUBTREE, "SELECT digest FROM key_secret WHERE key = ?"):
        plan = [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {query}", ("x",))]
        assert not [step for step in plan if step.startswith("SCAN") and ("node" in step or "key_secret" in step)], plan
        assert not [step for step in plan if "AUTOMATIC" in step], plan
