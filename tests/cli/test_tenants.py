"""The commands about tenants and money, on a folder that no server has and through the server that has it."""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import Result

from tests.cli.terminal import run
from tests.e2e.process import running

Run = Callable[..., Result]
TIERS = "[tiers.free]\nrequests_per_minute = 60\nconcurrent = 2\n[tiers.free.per_model]\ntokens_per_minute = 1000\n"
HOST = """
[providers.up]
base_url = "https://up.example/v1"
api_key = "sk-upstream"
[providers.up.models.m]
input_usd_per_1m = 3
output_usd_per_1m = 15
"""
CONFIG = f"{TIERS}{HOST}[embedded]\ntiny = false\n"


@pytest.fixture(scope="module", params=["alone", "served"])
def tell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs a command against one folder, either way."""
    folder = tmp_path_factory.mktemp(request.param)
    file = folder / "tollhouse.toml"

    def tell(*arguments: str) -> Result:
        return run(*arguments, "--config", file, "--data", folder / "data")

    if request.param == "served":
        with running(folder, CONFIG):
            yield tell
        return
    file.write_text(f"{CONFIG}[discovery]\nenvironment = false\nloopback = false\n")
    file.chmod(0o600)
    yield tell


def done(tell: Run, *arguments: str) -> str:
    """What a command that succeeds prints, without the last line's end."""
    result = tell(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.rstrip("\n")


def rows(tell: Run, *arguments: str) -> list[dict[str, Any]]:
    """The JSON lines of a command."""
    return [json.loads(line) for line in done(tell, *arguments, "--json").splitlines()]


def test_a_tree_is_made_shown_changed_and_suspended(tell: Run) -> None:
    """Each kind: create prints the id, list and show find it, update changes what was given and nothing else."""
    org = done(tell, "orgs", "create", "Acme", "--budget", "50/month@Europe/Berlin", "--tier", "free")
    team = done(tell, "teams", "create", "T", "--org", org, "--budget", "20/day")
    user = done(tell, "users", "create", "U", "--parent", team, "--model", "up/*", "--model", "x")
    assert [org[:4], team[:5], user[:5]] == ["org_", "team_", "user_"]
    (shown,) = rows(tell, "users", "show", user)
    assert (shown["models"], shown["parent_id"], shown["organization_id"]) == (["up/*", "x"], team, org)
    assert re.search(rf"{org} +active +- +50.00/month@Europe/Berlin +free +Acme", done(tell, "orgs", "list"))
    assert re.search(r"^budget +20.00/day$", done(tell, "teams", "show", team), re.MULTILINE)
    (changed,) = rows(tell, "users", "update", user, "--name", "none", "--model", "none")
    assert (changed["name"], changed["models"], changed["budget"]) == ("none", None, None)
    (changed,) = rows(tell, "orgs", "update", org, "--budget", "none", "--billing", "postpaid")
    assert (changed["budget"], changed["billing"], changed["tier"]) == (None, "postpaid", "free")
    assert done(tell, "teams", "disable", team, "--reason", "quiet") == f"{team} is disabled."
    assert [row["status"] for row in rows(tell, "users", "list", "--under", org)] == ["suspended"]
    assert done(tell, "teams", "enable", team) == f"{team} is enabled."
    assert [row["status"] for row in rows(tell, "users", "list", "--under", org)] == ["active"]


def test_a_key_goes_through_its_life(tell: Run) -> None:
    """Made with limits, shown without its text, rotated with an overlap, changed, revoked once."""
    made = rows(tell, "keys", "create", "k", "--owner", "eva", "--expires", "90d", "--permission", "read")[0]
    assert set(made) == {"id", "name", "key"}
    (key,) = rows(tell, "keys", "show", made["id"])
    assert (key["owner"], key["permission"], key["parent_id"]) == ("eva", "read", "org_default")
    assert abs(key["expires_at"] - time.time() - 90 * 86_400) < 60
    turned = tell("keys", "rotate", made["id"], "--overlap", "2h")
    assert turned.stdout.strip().startswith("sk-th-")
    assert turned.stdout.strip() != made["key"]
    said = done(tell, "keys", "show", made["id"])
    assert said.count("text ") == 2
    assert ", until " in said
    changed = done(tell, "keys", "update", made["id"], "--budget", "5/week", "--expires", "none")
    assert re.search(r"^budget +5.00/week$", changed, re.MULTILINE)
    (key,) = rows(tell, "keys", "show", made["id"])
    assert (key["expires_at"], key["owner"]) == (None, "eva")
    assert done(tell, "keys", "revoke", made["id"]) == f"{made['id']} is revoked."
    for key_id in (made["id"], "key_none"):
        again = tell("keys", "revoke", key_id)
        assert (again.exit_code, again.stdout) == (1, "")
        assert f"There is no active key {key_id}." in again.stderr
    listed = {row["id"]: row["state"] for row in rows(tell, "keys", "list")}
    assert listed[made["id"]] == "revoked"
    for text in (made["key"], turned.stdout.strip()):
        assert text not in done(tell, "keys", "list", "--json")


def test_credit_is_granted_once_adjusted_and_refunded(tell: Run) -> None:
    """Amounts are decimals; --once makes a deed happen once; what is not there cannot be taken."""
    org = done(tell, "orgs", "create", "Paying")
    for said in ("", " It had happened before."):
        line = done(tell, "credits", "grant", org, "12.5", "--once", f"invoice of {org}", "--reason", "welcome")
        assert line.endswith(f": grant of $12.50. The balance is $12.50.{said}")
    assert "The balance is $13.00." in done(tell, "credits", "grant", org, "50", "--in-credits")
    assert "adjustment of $-1.50. The balance is $11.50." in done(
        tell, "credits", "adjust", org, "-1.50", "--reason", "typing error"
    )
    assert "refund of $1.50. The balance is $10.00." in done(tell, "credits", "refund", org, "1.5", "--reason", "r")
    refused = tell("credits", "refund", org, "10.01", "--reason", "r")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "$10.00" in refused.stderr
    assert tell("credits", "refund", org, "1").exit_code == 2
    said = done(tell, "credits", "show", org)
    assert "balance       $10.00 (1,000.00 credits)" in said
    assert "available     $10.00" in said
    assert rows(tell, "credits", "show", org)[0]["balance_usd"] == "10.00"
    assert "not bounded" in done(tell, "credits", "show")


def test_prices_are_listed_and_set(tell: Run) -> None:
    """In force with who said so; a new one holds at once and is a version; the wrong unit is doubted."""
    assert re.search(r"up/m +\d+\.\d+ +15.00 .* (config|admin)", done(tell, "prices", "list", "UP/"))
    assert "up/m costs $2.50 / $15.00" in done(tell, "prices", "set", "up/m", "--input", "2.5", "--output", "15")
    assert re.search(r"up/m +2.50 +15.00 .* admin +20\d\d-", done(tell, "prices", "list", "up/"))
    assert rows(tell, "prices", "list", "up/m")[0]["price"]["source"] == "admin"
    assert "admin" in done(tell, "prices", "list", "--versions")
    doubted = tell("prices", "set", "up/m", "--input", "0.0000025", "--output", "15")
    assert doubted.exit_code == 1
    doubted = tell("prices", "set", "up/m", "--input", "0.000003", "--output", "15")
    assert (doubted.exit_code, "million tokens" in doubted.stderr) == (1, True)
    assert tell("prices", "set", "m", "--input", "1", "--output", "1").exit_code == 2


def test_tiers_are_listed(tell: Run) -> None:
    """What a key may do, and each model of it; what is not limited is a dash."""
    lines = done(tell, "tiers").splitlines()
    assert re.search(r"free +a key +60 +- +2 +-", lines[1])
    assert re.search(r"free +each model +- +1000 +- +-", lines[2])
    assert rows(tell, "tiers")[0]["rates"]["requests_per_minute"] == 60


def test_usage_of_nothing_is_zero(tell: Run) -> None:
    """A table with its total, JSON, a CSV with its heads; an unknown request is an error."""
    assert re.search(r"total +0 +0 +0 +0.00", done(tell, "usage", "--by", "day,key"))
    assert rows(tell, "usage")[0]["totals"]["requests"] == 0
    assert done(tell, "usage", "--csv").startswith("day,requests,")
    missing = tell("usage", "req_none")
    assert (missing.exit_code, "req_none" in missing.stderr) == (1, True)


def test_a_safety_report_of_nothing_is_zero(tell: Run) -> None:
    """A table with its total, JSON, a CSV with its heads; what the API refuses is an error."""
    shown = done(tell, "safety", "report", "--by", "day,key,category")
    assert re.search(r"^total +0 +0$", shown, re.MULTILINE)
    assert re.search(r"^0 requests were answered from 20\d\d-\d\d-\d\d to ", shown, re.MULTILINE)
    assert rows(tell, "safety", "report")[0]["totals"] == {"findings": 0, "filtered": 0}
    assert done(tell, "safety", "report", "--csv") == "side,category,severity,findings,filtered"
    refused = tell("safety", "report", "--by", "prompt")
    assert (refused.exit_code, "group_by" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["orgs", "create", "x", "--budget", "much"],
        ["keys", "create", "x", "--expires", "soon"],
        ["keys", "rotate", "x", "--overlap", "long"],
        ["keys", "create", "x", "--permission", "root"],
        ["orgs", "create", "x", "--billing", "never"],
        ["orgs", "create"],
    ],
)
def test_an_option_that_cannot_be_is_a_usage_error(tell: Run, arguments: list[str]) -> None:
    """Exit code 2, before anything is asked of the API."""
    before = len(rows(tell, "keys", "list")) + len(rows(tell, "orgs", "list"))
    assert tell(*arguments).exit_code == 2
    assert len(rows(tell, "keys", "list")) + len(rows(tell, "orgs", "list")) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["orgs", "show", "org_none"], "There is nothing with the id 'org_none'"),
        (["teams", "create", "T", "--org", "org_none"], "org_none"),
        (["keys", "create", "x", "--budget", "0"], "budget"),
        (["keys", "create", "x", "--tier", "gold"], "gold"),
        (["usage", "--from", "yesterday"], "from"),
        (["usage", "--by", "prompt"], "group_by"),
    ],
)
def test_what_the_api_refuses_is_one_line_and_exit_1(tell: Run, arguments: list[str], said: str) -> None:
    """The API's own words, the same either way."""
    result = tell(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert said in result.stderr
