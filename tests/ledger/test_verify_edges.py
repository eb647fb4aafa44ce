"""The verifier where rows are odd but right, and where they are wrong in ways that its sums could hide."""
# ruff: noqa: S608 - numbers and names of the tests themselves

from pathlib import Path
from typing import Any

import pytest

from tests.ledger.books import (
    APRIL_IN_BERLIN,
    DEFAULT_ORG,
    MARCH_29,
    NOW_S,
    TOPUP,
    body,
    damage,
    rates,
    write_books,
)
from tollhouse.ledger.verify.report import Finding
from tollhouse.ledger.verify.run import verify
from tollhouse.stores.reader import open_reader

MAY_IN_BERLIN = APRIL_IN_BERLIN + 30 * 86_400
MARCH_30_IN_NEW_YORK = MARCH_29 + 28 * 3600
CLASSES = ("input", "cache_read", "cache_write", "cache_write_1h", "input_audio", "output", "reasoning", "output_audio")


def findings(tmp_path: Path, *statements: str) -> list[Finding]:
    """What the verifier says of the books after a change."""
    write_books(tmp_path / "db")
    damage(tmp_path / "db", *statements)
    with open_reader(tmp_path / "db") as reader:
        return verify(reader, now_s=NOW_S).findings


def told(found: list[Finding]) -> list[tuple[str, str, str, str]]:
    """Each in full: its check, its row, and both numbers."""
    return [(f"{one.check.code} {one.check.name}", one.row, one.expected, one.found) for one in found]


# --- budgets -------------------------------------------------------------------------------------------------------


def test_a_budget_counts_for_ever_and_by_utc_where_it_does_not_say(tmp_path: Path) -> None:
    """One without a period has a single window, and one without a zone has the days of UTC."""
    assert findings(tmp_path, "UPDATE node SET budget_period = NULL WHERE number = 2") == []
    (tmp_path / "db").unlink()
    found = findings(
        tmp_path,
        "UPDATE node SET budget_zone = NULL WHERE number = 5",
        f"UPDATE spend SET window_start = {MARCH_29} WHERE node = 5 AND amount = 1500503",
        f"UPDATE spend SET window_start = {MARCH_29 + 2 * 86_400} WHERE node = 5 AND amount = 10001",
    )
    assert found == []


@pytest.mark.parametrize("zone", ["../Berlin", "/etc/localtime", "Europe/"])
def test_a_zone_that_is_no_name_at_all_is_a_finding(tmp_path: Path, zone: str) -> None:
    """The walk goes on to its end."""
    found = findings(tmp_path, f"UPDATE node SET budget_zone = '{zone}' WHERE number = 3")
    assert told(found) == [("I2 budgets", "3", "a zone that there is", zone)]


def test_a_folder_of_zones_is_no_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own package of zones has folders, which are opened as if they were zones: that is a finding too."""
    (tmp_path / "tzdata" / "zoneinfo" / "Atlantis").mkdir(parents=True)
    for folder in ("tzdata", "tzdata/zoneinfo"):
        (tmp_path / folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = findings(tmp_path, "UPDATE node SET budget_zone = 'Atlantis' WHERE number = 3")
    assert told(found) == [("I2 budgets", "3", "a zone that there is", "Atlantis")]


def test_a_window_of_nothing_may_have_a_row_and_need_not(tmp_path: Path) -> None:
    """A day on which nothing was spent, with a row; days of which everything was given back, without."""
    found = findings(
        tmp_path,
        f"INSERT INTO spend VALUES (5, {MARCH_30_IN_NEW_YORK}, 0)",
        "DELETE FROM spend WHERE amount = 10001",
        "UPDATE spend SET amount = amount - 10001 WHERE node = 2",
        "UPDATE posting SET amount = 40001 WHERE movement = 11 AND account = 5",
        "UPDATE posting SET amount = -40001 WHERE movement = 11 AND account = 1",
        "UPDATE account SET posted = posted + 10001 WHERE id = 5",
        "UPDATE account SET posted = posted - 10001 WHERE id = 1",
        "UPDATE usage_day SET charge = 0 WHERE charge = 10001",
    )
    assert found == []


def test_a_window_that_is_missing_between_others_is_named(tmp_path: Path) -> None:
    """Rows before it and after it do not hide it."""
    found = findings(
        tmp_path,
        "DELETE FROM spend WHERE node = 3 AND amount = 10001",
        f"INSERT INTO spend VALUES (3, {MAY_IN_BERLIN}, 0)",
    )
    assert told(found) == [("I2 budgets", "node 3, window of 2026-04-01", "10001 spent", "0 spent")]


def test_a_row_of_what_nobody_spent_is_named(tmp_path: Path) -> None:
    """With what there is and what should be."""
    found = findings(tmp_path, f"INSERT INTO spend VALUES (5, {MARCH_30_IN_NEW_YORK}, 7)")
    row = f"node 5, window_start {MARCH_30_IN_NEW_YORK}"
    assert told(found) == [("I2 budgets", row, "0 spent", "7 spent")]


# --- accounts ------------------------------------------------------------------------------------------------------


def test_the_last_nano_usd_may_be_spent_and_held(tmp_path: Path) -> None:
    """Who may not owe may have nothing, and open holds may have taken all that there is."""
    found = findings(
        tmp_path, "UPDATE hold SET amount = 6489496 WHERE id = 4", "INSERT INTO account VALUES (7, 'org:org_new', 0, 0)"
    )
    assert found == []


def test_of_several_wrong_rows_the_first_is_named(tmp_path: Path) -> None:
    """Accounts that are not there are named by rising number, whatever refers to them."""
    found = findings(tmp_path, f"DELETE FROM account WHERE id IN ({TOPUP}, {DEFAULT_ORG})")
    assert [one.row for one in found if one.check.name == "balances"] == [f"account {TOPUP}"]


# --- prices --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "image", "request_pico"),
    [(2**34, 2**40, 2**60), (2**36, 0, 0), (1, 2**44, 0), (2**33, 2**40, 2**62 - 2000)],
)
def test_a_sum_beyond_64_bits_is_judged_to_the_last_nano_usd(
    tmp_path: Path, rate: int, image: int, request_pico: int
) -> None:
    """The most tokens and images, at prices of which a database could add up some, but not all."""
    write_books(tmp_path / "db")
    tokens, images = 2**26, 2**20
    pico = 7 * tokens * rate + images * image + request_pico
    request_pico += 1000 * (-(-pico // 1000) % 2 == 0)
    due = -(-(7 * tokens * rate + images * image + request_pico) // 1000)
    prices = rates(rate, rate, output=0)
    prices |= {"output_audio": rate, "reasoning": rate}
    text = body("free", prices, image=image, request=request_pico, source="free", free=True)
    usage = {**dict.fromkeys(CLASSES, tokens), "images": images}
    assert due % 2 == 1
    assert due > 2**53
    for wrong in range(-3, 4):
        assert mispriced(tmp_path / "db", text, usage, due + wrong) is bool(wrong)


def mispriced(path: Path, body_text: str, usage: dict[str, int], charge: int) -> bool:
    """Whether the verifier names hold 6 when it is charged this for a usage, by a price of this body."""
    counted = ", ".join(f"{name} = {count}" for name, count in usage.items())
    damage(
        path,
        f"UPDATE price SET body = '{body_text}' WHERE id = 3",
        f"UPDATE hold SET {counted}, amount = {charge}, charge = {charge} WHERE id = 6",
    )
    with open_reader(path) as reader:
        found = verify(reader, now_s=NOW_S).findings
    return "6" in {one.row for one in found if one.check.name == "recomputable"}


def test_a_class_of_tokens_that_was_charged_in_another_way_is_found(tmp_path: Path) -> None:
    """One that was given back in place of charged, one that was left out, one whose rate was taken for a divisor."""
    write_books(tmp_path / "db")
    prices = {name: 2_000 + 1_000 * place for place, name in enumerate(CLASSES)}
    text = body("free", prices, source="free", free=True, image=5_000_000, request=7_000_000)
    usage = {name: 60_000 - 2_000 * place for place, name in enumerate(CLASSES)} | {"images": 300}
    terms = {name: usage[name] * prices[name] for name in CLASSES}
    terms["output"] -= usage["reasoning"] * prices["output"]
    terms |= {"images": 300 * 5_000_000, "request": 7_000_000}
    due = sum(terms.values()) // 1000
    assert not mispriced(tmp_path / "db", text, usage, due)
    for name, term in terms.items():
        divided = usage[name] // prices[name] if name in CLASSES else 0
        for wrong in (-term, 0, divided):
            charged = -(-(sum(terms.values()) - term + wrong) // 1000)
            assert mispriced(tmp_path / "db", text, usage, charged), (name, wrong)


def test_reasoning_is_priced_once_and_as_itself(tmp_path: Path) -> None:
    """Not as the rest of the output too, nor the rest as reasoning; and never more of it than there is output."""
    write_books(tmp_path / "db")
    text = body("free", rates(0, 1_000, reasoning=5_000), source="free", free=True)
    usage = {"output": 100, "reasoning": 30, "input": 0}
    assert not mispriced(tmp_path / "db", text, usage, 70 + 150)
    for wrong in (100 + 150, 130 + 150, 150, 0 + 500, 70 + 500, 100):
        assert mispriced(tmp_path / "db", text, usage, wrong), wrong
    usage = {"output": 30, "reasoning": 100, "input": 0}
    assert not mispriced(tmp_path / "db", text, usage, 150)
    for wrong in (500, 500 - 70, 0):
        assert mispriced(tmp_path / "db", text, usage, wrong), wrong


def test_a_charge_by_another_versions_rates_is_found(tmp_path: Path) -> None:
    """Though all the other versions agree on it."""
    write_books(tmp_path / "db")
    damage(
        tmp_path / "db",
        "UPDATE price SET body = (SELECT body FROM price WHERE id = 2) WHERE id IN (1, 4)",
        "UPDATE hold SET state = 'released' WHERE price IN (1, 4)",
    )
    text = body("free", rates(0, 0), source="free", free=True)
    assert not mispriced(tmp_path / "db", text, {"input": 10, "output": 20}, 0)
    assert mispriced(tmp_path / "db", text, {"input": 10, "output": 20}, 10 * 100 + 20 * 200)


@pytest.mark.parametrize(
    ("usage", "prices"),
    [({"images": 2**31, "output": 0}, {"image": 2**40}), ({"output": 2**31}, {"rates": rates(0, 2**33 - 2)})],
)
def test_what_floating_point_makes_of_a_large_sum_is_found(
    tmp_path: Path, usage: dict[str, int], prices: dict[str, Any]
) -> None:
    """As many images or tokens as a row may say, at prices whose sum no 64 bits hold."""
    write_books(tmp_path / "db")
    text = body("free", source="free", free=True, **{"of": rates(0, 0)} | prices)
    pico = max(usage.values()) * (prices["image"] if "image" in prices else 2**33 - 2)
    due, rounded = -(-pico // 1000), int((float(pico) + 999) / 1000)
    assert due != rounded
    assert not mispriced(tmp_path / "db", text, {"input": 0, **usage}, due)
    assert mispriced(tmp_path / "db", text, {"input": 0, **usage}, rounded)


def test_a_prompt_charged_by_another_tier_is_found(tmp_path: Path) -> None:
    """Whichever class makes it long: up to the step it is of the lower tier, one token more is of the higher."""
    write_books(tmp_path / "db")
    text = body(
        "free", rates(1_000, 0), source="free", free=True, tiers=[{"above_tokens": 200, "rates": rates(2_000, 0)}]
    )
    for name in CLASSES[1:5]:
        for count, low in ((0, True), (1, False)):
            usage = {**dict.fromkeys(CLASSES, 0), "input": 200, name: count}
            charges = (200 + count, 2 * (200 + count))
            assert [mispriced(tmp_path / "db", text, usage, charge) for charge in charges] == [not low, low]


def test_tiers_may_stand_in_any_order(tmp_path: Path) -> None:
    """The one with the most tokens that the prompt is above counts."""
    write_books(tmp_path / "db")
    tiers = [{"above_tokens": above, "rates": rates(above * 10, 0)} for above in (400, 200, 600)]
    text = body("free", rates(1_000, 0), source="free", free=True, tiers=tiers)
    for prompt, rate in ((200, 1_000), (201, 2_000), (400, 2_000), (401, 4_000), (600, 4_000), (601, 6_000)):
        for other in (1_000, 2_000, 4_000, 6_000):
            charge = prompt * other // 1_000
            assert mispriced(tmp_path / "db", text, {"input": prompt, "output": 0}, charge) is (other != rate)


def test_a_charge_is_rounded_up_once_and_only_up(tmp_path: Path) -> None:
    """A part of a nano-USD is a whole one, nothing is nothing, and what was clipped is a part of the price."""
    write_books(tmp_path / "db")
    text = body("free", rates(1, 0), source="free", free=True)
    for count, due in ((0, 0), (1, 1), (999, 1), (1_000, 1), (1_001, 2)):
        for charge in (0, 1, 2, 3, (count + 999) * 1_000):
            assert mispriced(tmp_path / "db", text, {"input": count, "output": 0}, charge) is (charge != due)
    damage(tmp_path / "db", "UPDATE hold SET clipped = 1 WHERE id = 6")
    assert mispriced(tmp_path / "db", text, {"input": 2_000, "output": 0}, 3)


@pytest.mark.parametrize("number", ["1.0", "-1", "true", '"1"', "null", str(2**62), str(2**70), "Infinity", "[]"])
@pytest.mark.parametrize("place", ['"request":7', '"image":7', '"above_tokens":7', '"input":5', '"output":9'])
def test_a_price_of_what_is_no_whole_number_is_named(tmp_path: Path, number: str, place: str) -> None:
    """Wherever it stands in the version, and the walk goes on to its end."""
    tiers = [{"above_tokens": 7, "rates": rates(1, 9)}]
    text = body("free", rates(5, 6), tiers=tiers, image=7, request=7)
    assert place in text
    changed = text.replace(place, f"{place.partition(':')[0]}:{number}")
    found = findings(tmp_path, f"UPDATE price SET body = '{changed}' WHERE id = 3")
    assert [(one.table, one.expected) for one in found if one.check.name == "price versions"] == [
        ("price", "a body that can be read")
    ]


@pytest.mark.parametrize("text", ["{}", "[]", "7", '""', '{"image":0,"request":0,"tiers":[7]}'])
def test_a_price_that_lacks_what_it_is_reckoned_by_is_named(tmp_path: Path, text: str) -> None:
    """Whatever else it is."""
    found = findings(tmp_path, f"UPDATE price SET body = '{text}' WHERE id = 3")
    assert [one.row for one in found if one.expected == "a body that can be read"] == ["3"]
