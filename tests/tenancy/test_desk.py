"""What an operator does to the tree: each operation whole or not at all, with its audit row."""

from contextlib import suppress

import pytest

from tests.tenancy.kit import PEPPER, START_S, Base, family
from tollhouse.errors import ClientFault, Conflict, InvalidRequest, ObjectNotFound
from tollhouse.tenancy.desk import DEFAULT_OVERLAP_S, House
from tollhouse.tenancy.keys import digest_key
from tollhouse.types.tenancy import Budget


def test_a_tree_is_built_from_the_root_down(base: Base) -> None:
    """Each new node has an id of its kind, its parent and the moment; an organisation is prepaid unless it is said."""
    org, team, user, key, text = family(base)
    views = [base.directory().view(node_id) for node_id in (org, team, user, key)]
    assert [view.node.kind for view in views] == ["org", "team", "user", "key"]
    assert [view.parent_id for view in views] == [None, org, team, user]
    assert [view.node.id.partition("_")[0] for view in views] == ["org", "team", "user", "key"]
    assert {view.node.created_at for view in views} == {START_S}
    assert [view.node.billing for view in views] == ["prepaid", None, None, None]
    (secret,) = views[-1].secrets
    assert (secret.digest, secret.hint, secret.expires_at) == (digest_key(PEPPER, text), f"sk-th-...{text[-4:]}", None)
    assert base.do(lambda desk: desk.create_org({"name": "b", "billing": "postpaid"})).node.billing == "postpaid"


def test_a_key_is_made_with_all_that_binds_it(base: Base) -> None:
    """Every field of a key can be given when it is made, and is there at once."""
    org, *_ = family(base)
    fields = {
        "name": "ci",
        "owner": "build farm",
        "permission": "read",
        "expires_at": START_S + 60,
        "budget": {"limit_usd": "2.50", "period": "day", "zone": "Europe/Berlin"},
        "models": ["openai/*"],
        "kinds": ["chat/completions"],
        "tier": "free",
    }
    made = base.do(lambda desk: desk.create_key(org, fields)).view
    assert made == base.directory().view(made.node.id)
    assert made.details is not None
    assert (made.details.owner, made.details.permission, made.details.expires_at) == (
        "build farm",
        "read",
        START_S + 60,
    )
    assert made.node.budget == Budget(2_500_000_000, "day", "Europe/Berlin")
    assert (made.node.models, made.node.kinds, made.node.tier) == (("openai/*",), ("chat/completions",), "free")


def test_a_node_without_a_name_is_not_made(base: Base) -> None:
    """The name is the one field that must be there."""
    for deed, given in (("create_org", ()), ("create_team", ("org_default",)), ("create_key", ("org_default",))):
        with pytest.raises(InvalidRequest, match="Missing required parameter: 'name'"):
            base.call(deed, *given, {})


def test_a_change_sets_what_is_given_and_leaves_the_rest(base: Base) -> None:
    """An absent field stays, null takes a restriction away, and all fields are set together."""
    *_, key, _ = family(base)
    base.call("change", key, {"name": "a", "owner": "b", "models": ["m"], "budget": {"limit_usd": "1"}, "tier": "free"})
    view = base.call("change", key, {"budget": None, "permission": "admin"})
    assert (view.node.name, view.node.models, view.node.budget, view.node.tier) == ("a", ("m",), None, "free")
    assert (view.details.owner, view.details.permission) == ("b", "admin")
    with pytest.raises(InvalidRequest):
        base.call("change", key, {"name": "lost", "permission": "root"})
    with pytest.raises(InvalidRequest):
        base.call("change", key, {"name": "lost", "expires_at": START_S})
    assert base.directory().view(key) == view


def test_i28_every_change_writes_one_audit_row_and_nothing_else_does(base: Base) -> None:
    """As many rows as changes, with who, what and from what to what; a refused or empty change writes none."""
    org, team, user, key, text = family(base)
    deeds = [
        ("change", team, {"budget": {"limit_usd": "5"}, "name": "blue"}),
        ("disable", team, "unpaid"),
        ("enable", team),
        ("rotate", key, 60),
        ("revoke", key, "leaked"),
    ]
    for deed, *given in deeds:
        base.do(lambda desk, deed=deed, given=given: getattr(desk, deed)(*given), "ada")  # type: ignore[misc]
    rows = base.audit()[::-1]
    assert [(row.action, row.subject) for row in rows] == [
        ("org.create", org),
        ("team.create", team),
        ("user.create", user),
        ("key.create", key),
        ("team.change", team),
        ("team.disable", team),
        ("team.enable", team),
        ("key.rotate", key),
        ("key.revoke", key),
    ]
    assert [row.actor for row in rows] == ["tester"] * 4 + ["ada"] * 5
    assert rows[3].detail == {"parent_id": user, "name": "laptop"}
    assert rows[4].detail == {
        "budget": [None, {"limit_nusd": 5_000_000_000, "period": "total", "zone": "UTC"}],
        "name": ["red", "blue"],
    }
    assert [row.detail for row in rows[5:]] == [
        {"reason": "unpaid"}, {"reason": "unpaid"}, {"overlap_s": 60}, {"reason": "leaked"}
    ]  # fmt: skip
    for deed, *given in (
        ("change", team, {"name": "blue"}),
        ("change", team, {}),
        ("enable", team),
        ("revoke", key, "again"),
        ("change", team, {"name": ""}),
        ("change", "team_none", {"name": "x"}),
        ("rotate", key),
        ("create_team", team, {"name": "x"}),
    ):
        with suppress(ClientFault):
            base.call(deed, *given)
    assert len(base.audit()) == len(rows)
    assert text not in repr(base.audit())


def test_a_suspension_is_taken_back_and_a_revocation_is_not(base: Base) -> None:
    """Suspending keeps its first moment and reason; a revoked key is never enabled, and its moment stands."""
    *_, key, _ = family(base)
    base.call("disable", key, "holiday")
    base.now_s += 10
    assert base.call("disable", key, "other").node.disabled_reason == "holiday"
    assert base.call("enable", key).node.disabled_at is None
    base.call("disable", key, "again")
    assert base.call("revoke", key).node.disabled_at == START_S + 10
    base.now_s += 10
    view = base.call("revoke", key)
    assert (view.node.disabled_at, view.node.disabled_reason) == (START_S + 10, "revoked")
    with pytest.raises(Conflict, match="revoked"):
        base.call("enable", key)
    assert base.call("disable", key).node.disabled_reason == "revoked"


def test_the_reason_of_a_revocation_cannot_be_given_to_a_suspension(base: Base) -> None:
    """A suspension that looked like a revocation could never be taken back."""
    org, *_ = family(base)
    for reason in ("revoked", " revoked ", "x" * 501, "a\nb"):
        with pytest.raises(InvalidRequest) as caught:
            base.call("disable", org, reason)
        assert caught.value.param == "reason"


def test_a_rotated_key_has_two_texts_until_the_overlap_ends(base: Base) -> None:
    """The new text lives as the key does, the old one for the overlap; it is a day when nothing is said."""
    *_, key, text = family(base)
    made = base.call("rotate", key)
    old, new = sorted(made.view.secrets, key=lambda one: one.expires_at is None)
    assert (old.digest, old.expires_at) == (digest_key(PEPPER, text), START_S + DEFAULT_OVERLAP_S)
    assert (new.digest, new.expires_at) == (digest_key(PEPPER, made.text.reveal()), None)
    assert made.text.reveal() != text
    base.call("rotate", key, 5)
    ends = {one.digest: one.expires_at for one in base.directory().view(key).secrets}
    assert ends[old.digest] == ends[new.digest] == START_S + 5
    base.call("rotate", key, 3600)
    ends = {one.digest: one.expires_at for one in base.directory().view(key).secrets}
    assert ends[old.digest] == START_S + 5, "a later rotation made an old text live longer"


def test_rotation_is_refused_where_the_new_text_could_not_work(base: Base) -> None:
    """Overlaps out of range, revoked keys and expired keys are refused, and no text is made."""
    *_, user, key, _ = family(base)
    for overlap_s in (-1, 31_536_001, 1.5, True, None):
        with pytest.raises(InvalidRequest) as caught:
            base.call("rotate", key, overlap_s)
        assert caught.value.param == "overlap_s"
    short = base.call("create_key", user, {"name": "short", "expires_at": START_S + 1}).view.node.id
    base.now_s += 1
    with pytest.raises(Conflict, match="has expired"):
        base.call("rotate", short)
    base.call("revoke", key)
    with pytest.raises(Conflict, match="is revoked"):
        base.call("rotate", key)
    assert len(base.directory().secrets) == 2


def test_only_keys_are_rotated_and_revoked(base: Base) -> None:
    """A team has no text; asking for one is asking for a key that is not there."""
    org, team, user, _, _ = family(base)
    for node_id in (org, team, user, "key_0000000000000000", ""):
        for deed in ("rotate", "revoke"):
            with pytest.raises(ObjectNotFound):
                base.call(deed, node_id)


def test_what_is_unknown_is_not_found_and_not_repeated_at_length(base: Base) -> None:
    """Every operation on an id that nothing has is a 404 that shows a line of it at most."""
    for deed, *rest in (("change", {}), ("disable",), ("enable",), ("create_key", {"name": "x"}), ("create_user", {})):
        with pytest.raises(ObjectNotFound) as caught:
            base.call(deed, "x" * 10_000, *rest)
        assert len(caught.value.message) < 200


@pytest.mark.parametrize("text", ["x'; DROP TABLE node; --", "' OR '1'='1", "%", "_", "key_%' UNION SELECT 1 --", "?1"])
def test_s02_what_an_operator_sends_is_a_value_and_never_sql(base: Base, text: str) -> None:
    """As an id it finds nothing; as a name, an owner, a model or a reason it is kept letter for letter."""
    org, _, _, key, _ = family(base)
    deeds: tuple[tuple[str, object], ...] = (("change", {"name": "x"}), ("disable", ""), ("revoke", ""), ("rotate", 60))
    for deed, given in deeds:
        with pytest.raises(ObjectNotFound):
            base.call(deed, text, given)
        with pytest.raises(ObjectNotFound):
            base.call(deed, key, given, text)
    view = base.call("change", key, {"name": text, "owner": text})
    assert (view.node.name, view.details.owner) == (text, text)
    assert base.call("disable", org, text).node.disabled_reason == text
    assert [row.detail for row in base.audit()[:1]] == [{"reason": text}]
    assert base.directory().find(key) == view.node


def test_an_expiry_lies_in_the_future(base: Base) -> None:
    """A key is not made or changed to have expired already; revoking is how one ends at once."""
    *_, user, key, _ = family(base)
    for expires_at in (START_S, START_S - 1, 1):
        for deed, target in (("change", key), ("create_key", user)):
            with pytest.raises(InvalidRequest, match="future") as caught:
                base.call(deed, target, {"name": "x", "expires_at": expires_at})
            assert caught.value.param == "expires_at"
    assert base.call("change", key, {"expires_at": START_S + 1}).details.expires_at == START_S + 1
    base.now_s += 100
    assert base.call("change", key, {"expires_at": START_S + 1, "name": "y"}).node.name == "y"


def test_billing_afterwards_lifts_the_floor_of_the_account(base: Base) -> None:
    """Once an organisation may owe, the database lets it; back to prepaid binds new requests, not what is in flight."""
    org, *_ = family(base)
    base.db.execute("INSERT INTO account (name, allow_debt) VALUES (?, 0)", (f"org:{org}",))
    base.call("change", org, {"billing": "prepaid"})
    assert list(base.db.execute("SELECT allow_debt FROM account")) == [(0,)]
    assert base.call("change", org, {"billing": "postpaid"}).node.billing == "postpaid"
    assert list(base.db.execute("SELECT allow_debt FROM account")) == [(1,)]
    assert base.call("change", org, {"billing": "prepaid"}).node.billing == "prepaid"


def test_a_house_does_not_print_its_pepper() -> None:
    """What would unlock a stolen database is in no log."""
    assert "pepper" not in repr(House(b"sesame"))
    assert "sesame" not in repr(House(b"sesame"))


def test_where_tiers_and_kinds_are_not_known_any_name_passes(base: Base) -> None:
    """The command line without a configuration still writes; the server judges what it can."""
    base.house = House(PEPPER, lambda: base.now_s)
    *_, key, _ = family(base)
    view = base.call("change", key, {"tier": "gold", "kinds": ["video/*"]})
    assert (view.node.tier, view.node.kinds) == ("gold", ("video/*",))
