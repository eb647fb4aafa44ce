"""Prices through the admin API: per million tokens, never changed, never a thousandfold by mistake."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.control.admin_kit import SETTINGS, Bureau, bureau
from tollhouse.books import open_books
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.calls import Usage

M = {"host": "up", "model": "m"}
PRICE = {**M, "input_usd_per_1m": "2.5", "output_usd_per_1m": "10"}


async def in_force(desk: Bureau, target: str = "up/m") -> dict[str, Any]:
    """The price of a target now."""
    rows = (await desk.get("/admin/prices?limit=1000"))["data"]
    (found,) = [row["price"] for row in rows if row["target"] == target]
    assert isinstance(found, dict)
    return found


async def test_a_price_is_in_force_when_it_is_answered(tmp_path: Path) -> None:
    """What is reserved from now on is priced by it; before, the file's price held; both are stored versions."""
    async with bureau(tmp_path) as desk:
        before = await in_force(desk)
        assert (before["source"], before["input_usd_per_1m"], before["version"]) == ("config", "3.00", None)
        made = await desk.post("/admin/prices", PRICE, 201)
        assert (made["source"], made["input_usd_per_1m"], made["cache_read_usd_per_1m"]) == ("admin", "2.50", "2.50")
        now = await in_force(desk)
        assert now == made
        (target,) = desk.parts.live.snapshot.names.resolve("up/m")
        version = desk.books.prices.of(target, int(time.time()))
        assert version.charge(Usage(input=1_000_000, output=1_000_000)) == 12_500_000_000
        (stored,) = (await desk.get("/admin/prices/versions?host=up&model=m"))["data"]
        assert stored == made
        (row,) = await desk.audit()
        assert (row["action"], row["subject"]) == ("price.set", "up/m")


async def test_a_price_waits_for_its_time(tmp_path: Path) -> None:
    """One from tomorrow changes nothing today; the past cannot be priced anew."""
    async with bureau(tmp_path) as desk:
        later = int(time.time()) + 86_400
        made = await desk.post("/admin/prices", {**PRICE, "effective_from": later})
        assert made["effective_from"] == later
        assert (await in_force(desk))["source"] == "config"
        (target,) = desk.parts.live.snapshot.names.resolve("up/m")
        assert desk.books.prices.of(target, later).source == "admin"
        answer = await desk.ask("POST", "/admin/prices", {**PRICE, "effective_from": int(time.time()) - 60})
        assert (answer.status, answer.error["param"]) == (400, "effective_from")


async def test_a_price_outlives_the_process(tmp_path: Path) -> None:
    """It is read from the database at the next start."""
    async with bureau(tmp_path) as desk:
        await desk.post("/admin/prices", PRICE)
        live, meter = desk.parts.live, desk.parts.ledger.meter
    books = open_books(SqliteStore(tmp_path / "tollhouse.db"), b"pepper", live, meter)
    (target,) = live.snapshot.names.resolve("up/m")
    version = books.prices.of(target, int(time.time()))
    assert (version.source, version.rates.input) == ("admin", 2_500_000)
    books.store.close()


@pytest.mark.parametrize("amount", ["0.000003", "0.0299", "301", "99999"])
async def test_a_price_in_the_wrong_unit_is_doubted(tmp_path: Path, amount: str) -> None:
    """A10: a hundred times more or less than what is in force is refused with both figures, until it is confirmed."""
    async with bureau(tmp_path) as desk:
        body = {**PRICE, "input_usd_per_1m": amount}
        answer = await desk.ask("POST", "/admin/prices", body)
        assert (answer.status, answer.error["param"]) == (409, "input_usd_per_1m")
        assert "3.00" in answer.error["message"]
        assert "million tokens" in answer.error["message"]
        assert desk.rows_of("SELECT id FROM price") == []
        assert (await desk.post("/admin/prices", {**body, "confirm": True}))["input_usd_per_1m"].startswith(amount[:3])


@pytest.mark.parametrize("amount", ["0.031", "299.9", "0"])
async def test_a_price_that_may_be_meant_is_not_doubted(tmp_path: Path, amount: str) -> None:
    """Less than a hundredfold passes, and so does free: that no unit explains."""
    async with bureau(tmp_path) as desk:
        await desk.post("/admin/prices", {**PRICE, "input_usd_per_1m": amount}, 201)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        *(({"input_usd_per_1m": text}, "input_usd_per_1m") for text in ("-1", "", "x", "1e3", "0.0000001", "100001")),
        *(({"input_usd_per_1m": value}, "input_usd_per_1m") for value in (3, 3.0, True)),
        ({"output_usd_per_1m": None}, "input_usd_per_1m"),
        ({"usd_per_image": "0.0000000000001"}, "usd_per_image"),
        ({"host": ""}, "host"),
        ({"model": ""}, "model"),
        ({"tiers": [{"above_tokens": 0}]}, "tiers[0].above_tokens"),
        ({"tiers": [{"above_tokens": 5, "x": "1"}]}, "tiers[0].x"),
        ({"tiers": [{"above_tokens": 5}, {"above_tokens": 5}]}, "tiers"),
        ({"tiers": [{"above_tokens": 5, "input_usd_per_1m": "-1"}]}, "input_usd_per_1m"),
        ({"effective_from": -1}, "effective_from"),
    ],
)
async def test_a_price_that_is_none_is_refused_by_name(tmp_path: Path, change: dict[str, Any], param: str) -> None:
    """S43: negative, malformed, too fine, too high, or half a price."""
    async with bureau(tmp_path) as desk:
        answer = await desk.ask("POST", "/admin/prices", {**PRICE, **change})
        assert (answer.status, answer.error["param"]) == (400, param), answer.body
        assert desk.rows_of("SELECT id FROM price") == []


async def test_tiers_and_flat_prices_are_read_and_shown_exactly(tmp_path: Path) -> None:
    """Every class of every tier comes back as it was sent, what was left out as what it inherits."""
    async with bureau(tmp_path) as desk:
        body = {
            **PRICE,
            "cache_read_usd_per_1m": "0.25",
            "reasoning_usd_per_1m": "12",
            "usd_per_image": "0.040000000001",
            "usd_per_request": "0.01",
            "tiers": [{"above_tokens": 200_000, "input_usd_per_1m": "5", "output_usd_per_1m": "15"}],
        }
        made = await desk.post("/admin/prices", body)
        for name in ("cache_read_usd_per_1m", "usd_per_image", "usd_per_request"):
            assert made[name] == body[name]
        (tier,) = made["tiers"]
        assert (tier["above_tokens"], tier["input_usd_per_1m"], tier["cache_read_usd_per_1m"]) == (
            200_000,
            "5.00",
            "0.25",
        )


async def test_a_target_without_a_price_is_listed_as_such(tmp_path: Path) -> None:
    """It is null, not zero; lists of prices come in pages and by host."""
    text = SETTINGS + '[providers.up.models."bare"]\nname = "No price"\n[providers.two]\n'
    text += 'base_url = "https://two.example/v1"\napi_key = "sk-two"\nfree = true\nmodels = ["a", "b"]\n'
    async with bureau(tmp_path, text) as desk:
        rows = (await desk.get("/admin/prices"))["data"]
        assert {row["target"]: row["price"] and row["price"]["source"] for row in rows} == {
            "two/a": "free",
            "two/b": "free",
            "up/bare": None,
            "up/m": "config",
        }
        page = await desk.get("/admin/prices?limit=3")
        assert (page["has_more"], page["last_id"]) == (True, "up/bare")
        assert [row["target"] for row in (await desk.get("/admin/prices?after=up/bare"))["data"]] == ["up/m"]
        assert [row["target"] for row in (await desk.get("/admin/prices?host=two&model=b"))["data"]] == ["two/b"]


async def test_versions_come_in_pages(tmp_path: Path) -> None:
    """The list goes on after a version's number; what is no number is refused."""
    async with bureau(tmp_path) as desk:
        for amount in ("2", "3", "4"):
            await desk.post("/admin/prices", {**PRICE, "input_usd_per_1m": amount})
        page = await desk.get("/admin/prices/versions?limit=2")
        assert ([row["version"] for row in page["data"]], page["has_more"]) == ([1, 2], True)
        rest = await desk.get(f"/admin/prices/versions?after={page['last_id']}")
        assert ([row["version"] for row in rest["data"]], rest["has_more"]) == ([3], False)
        for wrong in ("x", "-1", "9" * 19, "%D9%A5"):
            assert (await desk.ask("GET", f"/admin/prices/versions?after={wrong}")).status == 400


async def test_a_price_of_a_host_that_is_not_here_is_doubted(tmp_path: Path) -> None:
    """A typing error in the host's name would price nothing: it takes a second word."""
    async with bureau(tmp_path) as desk:
        body = {**PRICE, "host": "upp"}
        answer = await desk.ask("POST", "/admin/prices", body)
        assert (answer.status, answer.error["param"]) == (409, "host")
        await desk.post("/admin/prices", {**body, "confirm": True}, 201)
