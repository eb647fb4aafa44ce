"""Money through the admin API: credited once, taken only where it is, always with a reason and an actor."""

import asyncio
from pathlib import Path

import pytest

from tests.control.admin_kit import Bureau, bureau


async def organisation(desk: Bureau, **fields: object) -> str:
    """A prepaid organisation's path."""
    made = await desk.post("/admin/organizations", {"name": "Acme", **fields})
    return f"/admin/organizations/{made['id']}"


async def balance(desk: Bureau, at: str) -> str:
    """What it has, in dollars."""
    return str((await desk.get(f"{at}/balance"))["balance_usd"])


def sums(desk: Bureau) -> list[int]:
    """The sums of the entries of each transaction."""
    return [row[0] for row in desk.rows_of("SELECT sum(amount) FROM entry GROUP BY tx")]


async def test_grants_adjustments_and_refunds_move_the_balance(tmp_path: Path) -> None:
    """Each is a balanced transaction; a refund takes, an adjustment goes both ways; dollars and credits agree."""
    async with bureau(tmp_path) as desk:
        at = await organisation(desk)
        first = await desk.post(f"{at}/grants", {"amount_usd": "10"}, 201)
        assert (first["kind"], first["amount_usd"], first["balance_usd"]) == ("grant", "10.00", "10.00")
        await desk.post(f"{at}/grants", {"amount_credits": "50.5", "reason": "promo"})
        await desk.post(f"{at}/adjustments", {"amount_usd": "-0.000000001", "reason": "r"})
        await desk.post(f"{at}/adjustments", {"amount_usd": "1", "reason": "r"})
        taken = await desk.post(f"{at}/refunds", {"amount_usd": "2.5", "reason": "returned"})
        assert (taken["amount_usd"], taken["balance_usd"]) == ("2.50", "9.004999999")
        found = await desk.get(f"{at}/balance")
        assert (found["balance_usd"], found["available_usd"], found["balance_credits"]) == (
            "9.004999999",
            "9.004999999",
            900.4999999,
        )
        assert sums(desk) == [0] * 5
        assert desk.rows_of("SELECT posted FROM account WHERE name LIKE 'org:%' AND name <> 'org:org_default'") == [
            (9_004_999_999,)
        ]


async def test_a_grant_that_is_sent_again_credits_once(tmp_path: Path) -> None:
    """The same Idempotency-Key, one after another and fifty at once, is one transaction and one audit row."""
    async with bureau(tmp_path) as desk:
        at = await organisation(desk)
        body = {"amount_usd": "5"}
        first = await desk.post(f"{at}/grants", body, idempotency_key="invoice 1")
        again = await desk.post(f"{at}/grants", {"amount_credits": "500"}, idempotency_key="invoice 1")
        assert (first["created"], again["created"], again["id"]) == (True, False, first["id"])
        burst = await asyncio.gather(*[desk.post(f"{at}/grants", body, idempotency_key="invoice 2") for _ in range(50)])
        assert sum(one["created"] for one in burst) == 1
        assert len({one["id"] for one in burst}) == 1
        assert await balance(desk, at) == "10.00"
        assert len([row for row in await desk.audit() if row["action"] == "credits.grant"]) == 2


async def test_a_refund_that_is_sent_again_is_found_although_the_money_is_gone(tmp_path: Path) -> None:
    """The replay is looked up before money is looked for."""
    async with bureau(tmp_path) as desk:
        at = await organisation(desk)
        await desk.post(f"{at}/grants", {"amount_usd": "5"})
        body = {"amount_usd": "5", "reason": "r"}
        first = await desk.post(f"{at}/refunds", body, idempotency_key="a")
        again = await desk.post(f"{at}/refunds", body, idempotency_key="a")
        assert (again["id"], again["created"], again["balance_usd"]) == (first["id"], False, "0.00")


@pytest.mark.parametrize("change", ["amount", "kind", "organisation"])
async def test_an_idempotency_key_stands_for_one_movement(tmp_path: Path, change: str) -> None:
    """Used for another amount, kind or organisation it is a 422, and nothing of somebody else's is shown or moved."""
    async with bureau(tmp_path) as desk:
        at, other = await organisation(desk), await organisation(desk)
        for path in (at, other):
            await desk.post(f"{path}/grants", {"amount_usd": "7"})
        await desk.post(f"{at}/grants", {"amount_usd": "5", "reason": "secret"}, idempotency_key="a")
        path = {"amount": f"{at}/grants", "kind": f"{at}/adjustments", "organisation": f"{other}/grants"}[change]
        body = {"amount_usd": "5.01" if change == "amount" else "5", "reason": "r"}
        answer = await desk.ask("POST", path, body, idempotency_key="a")
        assert (answer.status, answer.error["error_id"]) == (422, "IDEMPOTENCY_KEY_REUSED")
        assert b"secret" not in answer.body
        assert (await balance(desk, at), await balance(desk, other)) == ("12.00", "7.00")


@pytest.mark.parametrize("name", ["", "x" * 256, "caf\u00e9", "a\tb"])
async def test_a_name_of_a_deed_is_short_visible_ascii(tmp_path: Path, name: str) -> None:
    """Anything else is no Idempotency-Key; an empty one is never taken for none."""
    async with bureau(tmp_path) as desk:
        at = await organisation(desk)
        reader_safe = name.encode().decode("latin-1")
        answer = await desk.ask("POST", f"{at}/grants", {"amount_usd": "5"}, idempotency_key=reader_safe or " ")
        assert answer.status == 400
        assert await balance(desk, at) == "0.00"


@pytest.mark.parametrize(
    "amount",
    [
        *(
            {"amount_usd": text}
            for text in ("0", "-1", "", "x", "NaN", "Infinity", "1e3", "1_000", " 5", "+5", "5 USD")
        ),
        *({"amount_usd": text} for text in ("0.0000000001", "1000000001", "9" * 40, "\u0665", ".5", "5.")),
        *({"amount_usd": value} for value in (5, 5.0, None, True, ["5"])),
        {"amount_credits": "0.00000001"},
        {"amount_credits": "-5"},
        {"amount_usd": "5", "amount_credits": "500"},
        {},
    ],
)
@pytest.mark.parametrize("kind", ["grants", "refunds"])
async def test_an_amount_that_is_none_moves_nothing(tmp_path: Path, kind: str, amount: dict[str, object]) -> None:
    """S43: zero, negative, huge, too fine, no decimal text, none or two of them: 400 that names the field."""
    async with bureau(tmp_path) as desk:
        at = await organisation(desk)
        answer = await desk.ask("POST", f"{at}/{kind}", {**amount, "reason": "r"})
        assert answer.status == 400
        assert answer.error["param"] in {"amount_usd", "amount_credits"}
        assert desk.rows_of("SELECT id FROM tx") == []


async def test_what_is_not_there_cannot_be_taken(tmp_path: Path) -> None:
    """I3: a refund or an adjustment below zero is refused; fifty at once take exactly what there is; a postpaid
    organisation may owe.
    """
    async with bureau(tmp_path) as desk:
        at = await organisation(desk)
        await desk.post(f"{at}/grants", {"amount_usd": "5"})
        for kind, amount in (("refunds", "5.000000001"), ("adjustments", "-5.000000001")):
            answer = await desk.ask("POST", f"{at}/{kind}", {"amount_usd": amount, "reason": "r"})
            assert (answer.status, answer.error["param"]) == (400, "amount_usd")
        body = {"amount_usd": "1", "reason": "r"}
        answers = await asyncio.gather(*[desk.ask("POST", f"{at}/refunds", body) for _ in range(50)])
        assert sorted(answer.status for answer in answers) == [201] * 5 + [400] * 45
        assert await balance(desk, at) == "0.00"
        owed = await desk.post("/admin/organizations/org_default/refunds", body)
        assert owed["balance_usd"] == "-1.00"
        assert set(sums(desk)) == {0}


@pytest.mark.parametrize("kind", ["refunds", "adjustments"])
async def test_taking_needs_a_reason(tmp_path: Path, kind: str) -> None:
    """Refunds and adjustments say why; without, they do not happen."""
    async with bureau(tmp_path) as desk:
        at = await organisation(desk)
        for body in ({"amount_usd": "1"}, {"amount_usd": "1", "reason": ""}):
            answer = await desk.ask("POST", f"{at}/{kind}", body)
            assert (answer.status, answer.error["param"]) == (400, "reason")


async def test_every_movement_has_its_audit_row(tmp_path: Path) -> None:
    """I28: who, what, how much and why, in the transaction that moves it."""
    async with bureau(tmp_path) as desk:
        at = await organisation(desk)
        made = await desk.ask("POST", f"{at}/grants", {"amount_usd": "5", "reason": "r"}, x_tollhouse_actor="eva")
        row = (await desk.audit())[-1]
        assert (row["action"], row["actor"], row["subject"]) == ("credits.grant", "admin/eva", at.rpartition("/")[2])
        assert row["detail"] == {"amount_nusd": 5_000_000_000, "reason": "r", "tx": int(made.json["id"][3:])}
        ((actor, reason),) = desk.rows_of("SELECT actor, reason FROM tx")
        assert (actor, reason) == ("admin/eva", "r")


async def test_a_balance_shows_its_budget_and_what_binds(tmp_path: Path) -> None:
    """Available is the least of credit and budget; nothing bounds a postpaid organisation without a budget."""
    async with bureau(tmp_path) as desk:
        at = await organisation(desk, budget={"limit_usd": "3", "period": "day", "zone": "Asia/Tokyo"})
        await desk.post(f"{at}/grants", {"amount_usd": "5"})
        found = await desk.get(f"{at}/balance")
        assert (found["available_usd"], found["budget"]["limit_usd"], found["budget"]["spent_usd"]) == (
            "3.00",
            "3.00",
            "0.00",
        )
        assert found["budget"]["resets_at"] - found["budget"]["window_start"] == 86_400
        assert (found["budget"]["window_start"] + 9 * 3600) % 86_400 == 0
        await desk.ask("PATCH", at, {"budget": None})
        assert (await desk.get(f"{at}/balance"))["available_usd"] == "5.00"
        free = await desk.get("/admin/organizations/org_default/balance")
        assert (free["available_usd"], free["available_credits"], free["budget"]) == (None, None, None)


async def test_the_ledger_shows_its_accounts_and_its_journal(tmp_path: Path) -> None:
    """The sum of all accounts is zero, organisations are one line, and what was appended is durable."""
    async with bureau(tmp_path) as desk:
        at = await organisation(desk)
        await desk.post(f"{at}/grants", {"amount_usd": "5"})
        await desk.post(f"{at}/adjustments", {"amount_usd": "-1", "reason": "r"})
        state = await desk.get("/admin/ledger")
        posted = {line["name"]: line["posted_usd"] for line in state["accounts"]}
        assert (posted["org:*"], posted["sys:topup"], posted["sys:adjust"]) == ("4.00", "-5.00", "1.00")
        assert (state["sum_usd"], state["open_holds"], state["holds"]["data"]) == ("0.00", 0, [])
        assert state["journal"]["durable"] <= state["journal"]["appended"]
        assert state["journal"]["failing"] is None
