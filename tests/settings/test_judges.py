"""``[safety.judges.NAME]``: what is read of it, what is refused, and that no secret is ever repeated."""

from pathlib import Path
from typing import Any

import pytest

from tests.settings.reader import KNOWN
from tollhouse.settings.judges import FORMS, JudgeKeys, JudgeSettings, read_judges
from tollhouse.settings.reading import Problem, Problems, keys, read_file
from tollhouse.settings.secrets import Sources
from tollhouse.types.secret import Secret

ENVIRON = {"HOOK_KEY": "hook-CANARY", "AZURE_KEY": "az-CANARY"}
AZURE = '[azure]\nkind = "azure"\nurl = "https://me.cognitiveservices.azure.com/"\napi_key = "env:AZURE_KEY"\n'


def read(folder: Path, text: str) -> tuple[dict[str, JudgeSettings], dict[str, Problem]]:
    """The judges of a file whose tables stand at its top, and its problems by path."""
    file = folder / "judges.toml"
    file.write_text(text)
    problems = Problems()
    tables, _ = read_file(file, problems)
    found = read_judges(tables, Sources(ENVIRON, KNOWN, folder, problems))
    return found, {problem.path.removeprefix("safety.judges."): problem for problem in problems.found}


def one(folder: Path, text: str) -> JudgeSettings:
    """The only judge of a file without a fault."""
    found, problems = read(folder, text)
    assert problems == {}
    (judge,) = found.values()
    return judge


def test_an_openai_judge_needs_nothing_but_its_kind(tmp_path: Path) -> None:
    """It observes both sides by OpenAI's own model, at its price, for five seconds, and lets pass in doubt."""
    judge = one(tmp_path, '[vendor]\nkind = "openai"\n')
    assert judge == JudgeSettings("vendor", "openai", "openai/omni-moderation-latest")
    assert (judge.deadline_s, judge.closed, judge.cost_nusd, judge.sides) == (
        5.0,
        False,
        None,
        ("prompt", "completion"),
    )


def test_a_gate_has_a_shorter_deadline_unless_one_is_stated(tmp_path: Path) -> None:
    """A request waits for it."""
    assert one(tmp_path, '[a]\nkind = "openai"\nwhen = "gate"\n').deadline_s == 1.5
    assert one(tmp_path, '[a]\nkind = "openai"\nwhen = "gate"\ndeadline_ms = 900\n').deadline_s == 0.9


def test_an_azure_judge_is_a_resource_and_its_key(tmp_path: Path) -> None:
    """Its requests cost what the operator says; an address of its own costs nothing else."""
    judge = one(tmp_path, AZURE + 'cost_usd = 0.00038\neight_levels = true\nversion = "2023-10-01"\n')
    assert judge.url == "https://me.cognitiveservices.azure.com/"
    assert judge.credential == Secret("az-CANARY")
    assert (judge.cost_nusd, judge.eight_levels, judge.version) == (380_000, True, "2023-10-01")
    assert judge.literal_secrets == ()
    assert one(tmp_path, AZURE).cost_nusd == 0
    assert one(tmp_path, AZURE).version == "2024-09-01"


def test_guard_models_have_versions_templates_and_risks(tmp_path: Path) -> None:
    """Each kind has its usual ones."""
    guard = one(tmp_path, '[g]\nkind = "llama_guard"\nmodel = "groq/llama-guard-4-12b"\n')
    assert (guard.version, guard.template, guard.asks) == ("4", "host", ())
    shield = one(tmp_path, '[g]\nkind = "shieldgemma"\nmodel = "up/shieldgemma"\n')
    assert (shield.template, len(shield.asks)) == ("full", 4)
    text = '[g]\nkind = "granite_guardian"\nmodel = "up/g"\nversion = "3.3"\ntemplate = "system"\n'
    text += 'asks = ["harm", "harm"]\n'
    granite = one(tmp_path, text)
    assert (granite.version, granite.template, granite.asks) == ("3.3", "system", ("harm",))


def test_everything_else_is_taken_as_it_is_written(tmp_path: Path) -> None:
    """Down to the last key."""
    text = """[own]
kind = "webhook"
url = "https://judge.example/v1/ask"
api_key = "env:HOOK_KEY"
secret = "whsec-CANARY"
when = "gate"
sides = ["completion", "completion"]
on_failure = "closed"
max_chars = 50_000
sample = 0.25
level = "medium"
[own.categories]
"self-harm/intent" = "self_harm"
spam = ""
[own.thresholds]
hate = [0.2, 0.5, 1]
"""
    judge = one(tmp_path, text)
    assert judge.url == "https://judge.example/v1/ask"
    assert (judge.credential, judge.secret) == (Secret("hook-CANARY"), Secret("whsec-CANARY"))
    assert judge.literal_secrets == ("secret",)
    assert (judge.when, judge.sides, judge.closed) == ("gate", ("completion",), True)
    assert (judge.max_chars, judge.sample, judge.level) == (50_000, 0.25, 2)
    assert judge.categories == {"self-harm/intent": "self_harm", "spam": ""}
    assert judge.thresholds == {"hate": (0.2, 0.5, 1.0)}


HOOK = 'kind = "webhook"\nurl = "https://judge.example/"\n'
CHAT = 'kind = "llama_guard"\nmodel = "up/guard"\n'


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[a]\n", "a.kind"),
        ('[a]\nkind = "oracle"\n', "a.kind"),
        ("a = 1\n", "a"),
        ('[A]\nkind = "openai"\n', "A"),
        ("[a]\n" + HOOK + "color = 1\n", "a.color"),
        ('[a]\nkind = "webhook"\n', "a.url"),
        ('[a]\nkind = "webhook"\nurl = "ftp://judge.example"\n', "a.url"),
        ('[a]\nkind = "webhook"\nurl = "https://ada:CANARY@judge.example/"\n', "a.url"),
        ('[a]\nkind = "webhook"\nurl = "https://judge.example/?key=CANARY"\n', "a.url"),
        ('[a]\nkind = "webhook"\nurl = "http://judge.example/"\n', "a.url"),
        ("[a]\nkind = \"webhook\"\nurl = 'https://judge.example/a\\b'\n", "a.url"),
        ("[a]\n" + HOOK + 'model = "up/m"\n', "a.model"),
        ("[a]\n" + HOOK + 'template = "full"\n', "a.template"),
        ("[a]\n" + HOOK + 'version = "2"\n', "a.version"),
        ("[a]\n" + HOOK + 'asks = ["hate"]\n', "a.asks[0]"),
        ("[a]\n" + HOOK + 'api_key = "env:NOT_SET"\n', "a.api_key"),
        ("[a]\n" + HOOK + 'secret = "CANARY\\n"\nsides = []\n', "a.sides"),
        ("[a]\n" + HOOK + 'sides = ["prompt", "both"]\n', "a.sides"),
        ("[a]\n" + HOOK + 'on_failure = "closed"\n', "a.on_failure"),
        ("[a]\n" + HOOK + 'on_failure = "ajar"\n', "a.on_failure"),
        ("[a]\n" + HOOK + "sample = 1.5\n", "a.sample"),
        ("[a]\n" + HOOK + "max_chars = 10\n", "a.max_chars"),
        ("[a]\n" + HOOK + "deadline_ms = -1\n", "a.deadline_ms"),
        ("[a]\n" + HOOK + "cost_usd = 0.0000000001\n", "a.cost_usd"),
        ("[a]\n" + HOOK + "cost_usd = -1\n", "a.cost_usd"),
        ("[a]\n" + HOOK + 'level = "safe"\n', "a.level"),
        ("[a]\n" + HOOK + "categories = 1\n", "a.categories"),
        ("[a]\n" + HOOK + '[a.categories]\nspam = "Not A Name"\n', "a.categories.spam"),
        ("[a]\n" + HOOK + "[a.categories]\nspam = 1\n", "a.categories.spam"),
        ("[a]\n" + HOOK + '[a.categories]\n"" = "spam"\n', "a.categories."),
        ("[a]\n" + HOOK + "[a.thresholds]\nhate = 0.5\n", "a.thresholds.hate"),
        ("[a]\n" + HOOK + "[a.thresholds]\nhate = [0.5, 0.6]\n", "a.thresholds.hate"),
        ("[a]\n" + HOOK + "[a.thresholds]\nhate = [0.9, 0.6, 0.5]\n", "a.thresholds.hate"),
        ("[a]\n" + HOOK + "[a.thresholds]\nhate = [0.5, 0.6, 2]\n", "a.thresholds.hate"),
        ("[a]\n" + HOOK + "[a.thresholds]\nhate = [true, true, true]\n", "a.thresholds.hate"),
        ("[a]\n" + HOOK + "[a.thresholds]\nHate = [0.5, 0.6, 0.7]\n", "a.thresholds.Hate"),
        ('[a]\nkind = "llama_guard"\n', "a.model"),
        ("[a]\n" + CHAT + 'url = "https://judge.example"\n', "a.url"),
        ("[a]\n" + CHAT + 'api_key = "CANARY"\n', "a.api_key"),
        ("[a]\n" + CHAT + 'secret = "CANARY"\n', "a.secret"),
        ("[a]\n" + CHAT + 'version = "5"\n', "a.version"),
        ("[a]\n" + CHAT + 'template = "system"\n', "a.template"),
        ('[a]\nkind = "azure"\nurl = "https://me.cognitiveservices.azure.com"\n', "a.api_key"),
        (AZURE + "max_chars = 10_001\n", "azure.max_chars"),
        (AZURE + 'secret = "CANARY"\n', "azure.secret"),
        (AZURE + 'version = "2024 09"\n', "azure.version"),
    ],
)
def test_a_mistake_is_named_where_it_is_and_repeats_no_secret(tmp_path: Path, text: str, path: str) -> None:
    """The judge is left out, and the problem says where to look."""
    found, problems = read(tmp_path, text)
    assert path in problems
    assert found == {}
    assert all("CANARY" not in str(problem) for problem in problems.values())


def test_a_webhook_may_be_reached_without_tls_where_that_is_safe_or_wanted(tmp_path: Path) -> None:
    """On this machine, or where the operator insists."""
    assert one(tmp_path, '[a]\nkind = "webhook"\nurl = "http://127.0.0.1:9/x"\n').url == "http://127.0.0.1:9/x"
    insecure = one(tmp_path, '[a]\nkind = "webhook"\nurl = "http://judge.example/"\ninsecure = true\n')
    assert insecure.url == "http://judge.example/"


def test_good_judges_stand_beside_bad_ones(tmp_path: Path) -> None:
    """Every fault is found in one reading."""
    found, problems = read(tmp_path, '[good]\nkind = "openai"\n[bad]\nkind = "azure"\n[worse]\nkind = ""\n')
    assert list(found) == ["good"]
    assert {"bad.url", "bad.api_key", "worse.kind"} <= problems.keys()


@pytest.mark.parametrize("tables", [None, 1, [], "judges"])
def test_what_is_no_table_is_one_problem(tmp_path: Path, tables: Any) -> None:
    """As anywhere in the settings."""
    problems = Problems()
    assert read_judges(tables, Sources({}, {}, tmp_path, problems)) == {}
    assert [problem.path for problem in problems.found] == ["safety.judges"]


def test_no_secret_is_in_a_judges_repr(tmp_path: Path) -> None:
    """Settings are logged and shown."""
    judge = one(tmp_path, "[a]\n" + HOOK + 'api_key = "CANARY-1"\nsecret = "CANARY-2"\n')
    assert "CANARY" not in repr(judge)


def test_every_key_is_described() -> None:
    """For the documentation."""
    assert all(spec.doc for spec in keys(JudgeKeys))
    assert set(next(spec.choices for spec in keys(JudgeKeys) if spec.name == "kind")) == set(FORMS)
