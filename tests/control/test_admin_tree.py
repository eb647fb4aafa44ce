"""Organisations, teams, users and keys through the admin API."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.control.admin_kit import ADMIN_KEY, Bureau, bureau
from tollhouse.tenancy.keys import digest_key

PLURALS = ("organizations", "teams", "users", "keys")


async def family(desk: Bureau) -> dict[str, str]:
    """The ids of an organisation, a team in it, a user in that, and the user's key."""
    org = (await desk.post("/admin/organizations", {"name": "Acme"}))["id"]
    team = (await desk.post("/admin/teams", {"name": "T", "organization_id": org}))["id"]
    user = (await desk.post("/admin/users", {"name": "U", "parent_id": team}))["id"]
    key = (await desk.post("/admin/keys", {"name": "K", "parent_id": user}))["id"]
    return {"organizations": org, "teams": team, "users": user, "keys": key}


async def test_a_new_installation_has_the_default_organisation(tmp_path: Path) -> None:
    """It is there from the start, postpaid, and a key that names no parent hangs on it."""
    async with bureau(tmp_path) as desk:
        (org,) = (await desk.get("/admin/organizations"))["data"]
        assert (org["id"], org["billing"], org["status"]) == ("org_default", "postpaid", "active")
        key = await desk.post("/admin/keys")
        assert (key["parent_id"], key["organization_id"], key["name"]) == ("org_default", "org_default", "default")
        assert (await desk.post("/admin/organizations", {"name": "x"}))["billing"] == "prepaid"


async def test_a_key_is_shown_once_and_kept_as_a_digest(tmp_path: Path) -> None:
    """Its text is in the answer that makes it and in no other answer, no row, no log line; its digest is stored."""
    async with bureau(tmp_path) as desk:
        made = await desk.post("/admin/keys", {"name": "k"})
        again = await desk.post(f"/admin/keys/{made['id']}/rotate")
        shown = [await desk.ask("GET", path) for path in ("/admin/keys", f"/admin/keys/{made['id']}", "/admin/audit")]
        changed = await desk.ask("PATCH", f"/admin/keys/{made['id']}", {"name": "other"})
        desk.parts.reloader._log.flush()
        stored = desk.on_disk(tmp_path)
        for text in (made["key"], again["key"]):
            assert all(text.encode() not in answer.body for answer in (*shown, changed))
            assert text.encode() not in desk.log.getvalue() + stored
            assert desk.rows_of("SELECT key FROM key_secret WHERE digest = ?", digest_key(b"pepper", text))
        assert made["key"] != again["key"]
        assert made["hint"].endswith(made["key"][-4:])
        assert ADMIN_KEY.encode() not in desk.log.getvalue()


async def test_rotation_leaves_the_old_text_for_a_while(tmp_path: Path) -> None:
    """After it a key has two texts, the old one with an end; ``overlap_s`` 0 ends it at once."""
    async with bureau(tmp_path) as desk:
        made = await desk.post("/admin/keys")
        keyring = desk.books.keyring
        turned = await desk.post(f"/admin/keys/{made['id']}/rotate", {"overlap_s": 3600})
        old, new = turned["secrets"]
        assert (old["hint"], new["expires_at"]) == (made["hint"], None)
        assert 3500 < old["expires_at"] - new["created_at"] <= 3600
        for text in (made["key"], turned["key"]):
            assert keyring.identify({b"x-api-key": text.encode()}).key_id == made["id"]
        last = await desk.post(f"/admin/keys/{made['id']}/rotate", {"overlap_s": 0})
        assert [secret["expires_at"] is None for secret in last["secrets"]] == [False, False, True]
        for wrong in (-1, 31_536_001, "60", 1.5):
            answer = await desk.ask("POST", f"/admin/keys/{made['id']}/rotate", {"overlap_s": wrong})
            assert answer.status == 400


async def test_a_revoked_key_is_gone_at_once_and_for_ever(tmp_path: Path) -> None:
    """The process that answers knows it no more; it is never enabled or rotated; revoking again changes nothing."""
    async with bureau(tmp_path) as desk:
        made = await desk.post("/admin/keys")
        headers = {b"x-api-key": made["key"].encode()}
        assert desk.books.keyring.identify(headers)
        done = await desk.post(f"/admin/keys/{made['id']}/revoke", {"reason": "leaked"})
        assert (done["status"], done["revoked_at"]) == ("revoked", done["disabled_at"])
        with pytest.raises(Exception, match="Incorrect API key"):
            desk.books.keyring.identify(headers)
        for verb in ("enable", "rotate"):
            answer = await desk.ask("POST", f"/admin/keys/{made['id']}/{verb}")
            assert (answer.status, answer.error["error_id"]) == (409, "CONFLICT")
        assert await desk.post(f"/admin/keys/{made['id']}/revoke") == done
        (row,) = [row for row in await desk.audit() if row["action"] == "key.revoke"]
        assert row["detail"] == {"reason": "leaked"}


@pytest.mark.parametrize("plural", PLURALS)
async def test_every_field_that_may_be_written_is_read_back(tmp_path: Path, plural: str) -> None:
    """What POST and PATCH set is what GET shows; null takes a restriction away; what is left out stays."""
    budget = {"limit_usd": "12.345678901", "period": "month", "zone": "Europe/Berlin"}
    fields: dict[str, Any] = {"name": "N", "budget": budget, "models": ["up/*"], "kinds": ["chat/completions"]}
    fields["tier"] = "free"
    fields |= {"organizations": {"billing": "postpaid"}, "keys": {"owner": "me", "permission": "read"}}.get(plural, {})
    if plural == "keys":
        fields["expires_at"] = 4_000_000_000
    parent = {"teams": {"organization_id": "org_default"}, "users": {"parent_id": "org_default"}}.get(plural, {})
    async with bureau(tmp_path) as desk:
        made = await desk.post(f"/admin/{plural}", {**parent, **fields}, 201)
        at = f"/admin/{plural}/{made['id']}"
        assert {name: (await desk.get(at))[name] for name in fields} == fields
        assert (await desk.ask("PATCH", at, {})).json == await desk.get(at)
        none = dict.fromkeys(set(fields) & {"budget", "models", "kinds", "tier", "expires_at"})
        changed = (await desk.ask("PATCH", at, none)).json
        assert {name: changed[name] for name in fields} == {**fields, **none}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 201),
        ("name", "a\x1b[31m"),
        ("budget", {"limit_usd": "-1"}),
        ("budget", {"limit_usd": "0"}),
        ("budget", {"limit_usd": "1e9"}),
        ("budget", {"limit_usd": "99999999999"}),
        ("budget", {"limit_usd": 5}),
        ("budget", {"limit_usd": "1", "period": "year"}),
        ("budget", {"limit_usd": "1", "zone": "Mars/Base"}),
        ("budget", {"limit_usd": "1", "zone": "../../etc/passwd"}),
        ("models", []),
        ("models", "up/m"),
        ("kinds", ["no/such"]),
        ("tier", "no such tier"),
        ("permission", "root"),
        ("expires_at", 1),
        ("expires_at", "tomorrow"),
        ("expires_at", 10**18),
        ("owner", "x" * 201),
    ],
)
async def test_a_field_that_cannot_be_is_refused_by_name(tmp_path: Path, field: str, value: object) -> None:
    """S43: in POST and in PATCH, with nothing kept."""
    async with bureau(tmp_path) as desk:
        made = await desk.post("/admin/keys", {"name": "k"})
        for method, path in (("POST", "/admin/keys"), ("PATCH", f"/admin/keys/{made['id']}")):
            answer = await desk.ask(method, path, {field: value})
            assert answer.status == 400, answer.body
            assert answer.error["param"].partition(".")[0] == field
        assert len((await desk.get("/admin/keys"))["data"]) == 1
        assert (await desk.get(f"/admin/keys/{made['id']}"))["name"] == "k"


async def test_a_child_is_never_wider_than_its_parent(tmp_path: Path) -> None:
    """S08: a wider budget, another model or a wider tier under a narrow parent is refused, and says by whom."""
    async with bureau(tmp_path) as desk:
        narrow = {"name": "n", "budget": {"limit_usd": "5"}, "models": ["up/m"], "tier": "free"}
        org = (await desk.post("/admin/organizations", narrow))["id"]
        for field, value in (("budget", {"limit_usd": "6"}), ("models", ["up/other"]), ("tier", "paid")):
            answer = await desk.ask("POST", "/admin/keys", {"parent_id": org, field: value})
            assert answer.status == 400
            assert org in answer.error["message"]
        key = (await desk.post("/admin/keys", {"parent_id": org}))["id"]
        assert (await desk.ask("PATCH", f"/admin/keys/{key}", {"budget": {"limit_usd": "6"}})).status == 400


@pytest.mark.parametrize(
    ("plural", "parent"),
    [("teams", "teams"), ("teams", "users"), ("users", "users"), ("users", "keys"), ("keys", "keys")],
)
async def test_the_tree_has_one_order(tmp_path: Path, plural: str, parent: str) -> None:
    """A team hangs on an organisation, a user on that or a team, a key on any of the three; nothing else."""
    async with bureau(tmp_path) as desk:
        ids = await family(desk)
        field = "organization_id" if plural == "teams" else "parent_id"
        answer = await desk.ask("POST", f"/admin/{plural}", {"name": "x", field: ids[parent]})
        assert (answer.status, answer.error["param"]) == (400, "parent_id")
        assert (await desk.ask("POST", f"/admin/{plural}", {"name": "x", field: "org_none"})).status == 404


async def test_suspending_a_node_suspends_all_below_it(tmp_path: Path) -> None:
    """Status tells the two apart, and enabling takes exactly one suspension back."""
    async with bureau(tmp_path) as desk:
        ids = await family(desk)
        await desk.post(f"/admin/organizations/{ids['organizations']}/disable", {"reason": "unpaid"})
        await desk.post(f"/admin/users/{ids['users']}/disable")

        async def states() -> list[str]:
            return [(await desk.get(f"/admin/{plural}/{ids[plural]}"))["status"] for plural in PLURALS]

        assert await states() == ["disabled", "suspended", "disabled", "suspended"]
        await desk.post(f"/admin/organizations/{ids['organizations']}/enable")
        assert await states() == ["active", "active", "disabled", "suspended"]
        await desk.post(f"/admin/users/{ids['users']}/enable")
        assert await states() == ["active"] * 4


async def test_lists_come_in_pages_that_miss_and_repeat_nothing(tmp_path: Path) -> None:
    """``after`` goes on where a page ended, also when rows came meanwhile; the last page says so."""
    async with bureau(tmp_path) as desk:
        made = [(await desk.post("/admin/keys", {"name": str(index)}))["id"] for index in range(5)]
        found: list[str] = []
        after = ""
        while True:
            page = await desk.get(f"/admin/keys?limit=2{after}")
            rows = [row["id"] for row in page["data"]]
            assert (page["first_id"], page["last_id"]) == (rows[0], rows[-1])
            found += rows
            if not page["has_more"]:
                break
            made.append((await desk.post("/admin/keys", {"name": "late"}))["id"]) if len(made) == 5 else None
            after = f"&after={page['last_id']}"
        assert found == made
        empty = await desk.get("/admin/teams")
        assert empty == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


async def test_lists_are_filtered_by_subtree_and_status(tmp_path: Path) -> None:
    """``under`` keeps what is below a node at any depth, ``status`` what is in that state; an unknown root is a 404."""
    async with bureau(tmp_path) as desk:
        ids = await family(desk)
        other = (await desk.post("/admin/keys", {"name": "other"}))["id"]
        await desk.post(f"/admin/keys/{other}/revoke")
        for root in ("organizations", "teams", "users"):
            page = await desk.get(f"/admin/keys?under={ids[root]}")
            assert [row["id"] for row in page["data"]] == [ids["keys"]]
        assert [row["id"] for row in (await desk.get("/admin/keys?status=revoked"))["data"]] == [other]
        assert (await desk.get("/admin/keys?status=revoked&limit=1"))["has_more"] is False
        assert (await desk.ask("GET", "/admin/keys?under=org_none")).status == 404


async def test_every_change_is_audited_with_its_actor_and_what_it_changed(tmp_path: Path) -> None:
    """I28: one row for each deed, none for a refusal or for a change that changes nothing."""
    async with bureau(tmp_path) as desk:
        made = await desk.ask("POST", "/admin/organizations", {"name": "A"}, x_tollhouse_actor="eva@example.com")
        at = f"/admin/organizations/{made.json['id']}"
        await desk.ask("PATCH", at, {"name": "B"}, x_tollhouse_actor='x"><script>\u00e9')
        await desk.ask("PATCH", at, {"name": "B"})
        await desk.ask("PATCH", at, {"name": ""})
        await desk.post(f"{at}/disable", {"reason": "r"})
        rows = await desk.audit()
        assert [(row["action"], row["subject"]) for row in rows] == [
            ("org.create", made.json["id"]),
            ("org.change", made.json["id"]),
            ("org.disable", made.json["id"]),
        ]
        assert rows[1]["detail"] == {"name": ["A", "B"]}
        assert [row["actor"] for row in rows] == ["admin/eva@example.com", "admin/x___script__", "admin"]
        assert [row["id"] for row in (await desk.get(f"/admin/audit?subject={made.json['id']}"))["data"]] == [
            "3",
            "2",
            "1",
        ]
        page = await desk.get("/admin/audit?limit=2")
        assert (page["has_more"], [row["id"] for row in page["data"]]) == (True, ["3", "2"])
        assert [row["id"] for row in (await desk.get("/admin/audit?after=2"))["data"]] == ["1"]


async def test_many_changes_at_once_are_all_made(tmp_path: Path) -> None:
    """Fifty keys made by fifty callers are fifty keys, each with a row of the audit."""
    async with bureau(tmp_path) as desk:
        made = await asyncio.gather(*[desk.post("/admin/keys", {"name": str(index)}) for index in range(50)])
        listed = (await desk.get("/admin/keys?limit=1000"))["data"]
        assert {row["id"] for row in listed} == {one["id"] for one in made}
        assert len({one["key"] for one in made}) == 50
        assert len(await desk.audit()) == 50
