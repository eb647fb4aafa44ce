"""What an alias may say beside its targets."""

from pathlib import Path

import pytest

from tests.settings.reader import faults, read
from tollhouse.settings.reading import keys
from tollhouse.settings.routing import DEFAULT_POLICY, AliasKeys, RouteEntry, RoutePolicy


def test_everything_said(tmp_path: Path) -> None:
    """A table with every key is one policy: prices in pico-USD, targets as names or tables."""
    text = """
    [models.shared]
    targets = [
        "openai/gpt-4o",
        { model = "mistral/m", weight = 3, priority = 1 },
        { model = "gpt-4o#openai", weight = 0 },
    ]
    strategy = "weighted"
    sticky = "conversation"
    hedge = true
    failover = "mid-stream"
    fidelity = "strict"
    max_tries = 2
    prefer = "price"
    allow = ["openai/*"]
    deny = ["*nano*"]
    max_input_usd_per_1m = 2.5
    max_output_usd_per_1m = 10
    """
    settings = read(tmp_path, text)
    entries = (RouteEntry("openai/gpt-4o"), RouteEntry("mistral/m", 3, 1), RouteEntry("gpt-4o#openai", 0))
    assert settings.routes["shared"] == RoutePolicy(
        entries,
        strategy="weighted",
        sticky="conversation",
        hedge=True,
        failover="mid-stream",
        fidelity="strict",
        max_tries=2,
        prefer="price",
        allow=("openai/*",),
        deny=("*nano*",),
        max_input_pusd=2_500_000,
        max_output_pusd=10_000_000,
    )
    assert settings.aliases["shared"] == ("openai/gpt-4o", "gpt-4o#openai", "mistral/m")


def test_the_short_forms_mean_the_defaults(tmp_path: Path) -> None:
    """A string, a list and a bare table of targets are one policy, with every default."""
    text = """
    [models]
    a = "openai/m"
    b = ["openai/m"]
    c = { targets = ["openai/m"] }
    d = { targets = [{ model = "openai/m" }] }
    """
    policies = set(read(tmp_path, text).routes.values())
    assert policies == {RoutePolicy((RouteEntry("openai/m"),))}


def test_defaults_are_those_of_names_without_an_alias() -> None:
    """What the documentation gives as the default of each key is what a name without an alias has."""
    for key in keys(AliasKeys):
        name = key.name.replace("_usd_per_1m", "_pusd")
        assert getattr(DEFAULT_POLICY, name) == key.default


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('a = { targets = ["openai/m"], strategy = "fastest" }', "models.a.strategy"),
        ('a = { targets = ["openai/m"], strategi = "cost" }', "models.a.strategi"),
        ('a = { targets = ["openai/m"], hedge = 1 }', "models.a.hedge"),
        ('a = { targets = ["openai/m"], failover = "always" }', "models.a.failover"),
        ('a = { targets = ["openai/m"], allow = ["x y"] }', "models.a.allow[0]"),
        ('a = { targets = ["openai/m"], deny = "x" }', "models.a.deny"),
        ('a = { targets = ["openai/m"], max_output_usd_per_1m = 0.0000001 }', "models.a.max_output_usd_per_1m"),
        ("a = { targets = [{ weight = 2 }] }", "models.a.targets[0].model"),
        ('a = { targets = [{ model = "openai/m", weight = -1 }] }', "models.a.targets[0].weight"),
        ('a = { targets = [{ model = "openai/m", wait = 1 }] }', "models.a.targets[0].wait"),
        ('a = { targets = [{ model = "" }] }', "models.a.targets[0]"),
        ('a = { targets = [{ model = "openai/m", weight = 0 }] }', "models.a.targets"),
        ('a = { targets = [["openai/m"]] }', "models.a.targets"),
        ('a = { targets = [{ model = "a" }] }', "models.a"),
    ],
)
def test_a_bad_policy_is_a_problem(tmp_path: Path, text: str, path: str) -> None:
    """Whatever an alias cannot mean is found when the file is read, by its path."""
    assert path in faults(tmp_path, f"[models]\n{text}\n")
