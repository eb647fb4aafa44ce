"""Tiers, as the file states them."""

from pathlib import Path

import pytest

from tests.settings.reader import faults, read
from tollhouse import config
from tollhouse.settings.tiers import strictest
from tollhouse.types.tenancy import Rates, Tier

EXAMPLE = """
[limits]
default_tier = "free"
[tiers.free]
requests_per_minute = 60
tokens_per_minute = 90000
concurrent = 2
[tiers.starter]
requests_per_minute = 60
concurrent = 10
[tiers.paid]
tokens_per_minute = 10000000
soft = ["tokens"]
[tiers.paid.per_model]
requests_per_minute = 600
[tiers.paid.models."gpt-4o"]
concurrent = 5
"""


class TestTiers:
    """[tiers.NAME] and [limits]."""

    def test_a_file_states_them(self, tmp_path: Path) -> None:
        """Limits of the key, of each of its models, and of single models; what is left out is not limited."""
        settings = read(tmp_path, EXAMPLE)
        assert dict(settings.tiers) == {
            "free": Tier("free", Rates(60, 90_000, 2)),
            "starter": Tier("starter", Rates(60, None, 10)),
            "paid": Tier(
                "paid",
                Rates(None, 10_000_000, None, frozenset({"tokens"})),
                Rates(600),
                {"gpt-4o": Rates(None, None, 5)},
            ),
        }
        assert settings.limits.default_tier == "free"

    def test_without_a_word_there_are_none(self, tmp_path: Path) -> None:
        """No tier is built in: without configuration nothing is limited."""
        settings = read(tmp_path, "")
        assert not settings.tiers
        assert not settings.limits.default_tier

    def test_the_fresh_file_holds_the_example(self, tmp_path: Path) -> None:
        """Taking out the marks before the tiers of the generated file gives the tiers of the requirement."""
        part = config.render_toml().partition("# --- tiers ")[2].partition("# The same keys bind")[0]
        lines = [line.removeprefix("# ") for line in part.splitlines() if line.startswith("# [") or " = " in line]
        tiers = read(tmp_path, "\n".join(lines)).tiers
        assert tiers["free"] == Tier("free", Rates(60, 90_000, 2))
        assert tiers["starter"] == Tier("starter", Rates(60, None, 10))
        assert tiers["paid"] == Tier("paid", Rates(None, 10_000_000, None, frozenset({"tokens"})))

    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ("tiers = 1", "tiers"),
            ("[tiers]\nfree = 1", "tiers.free"),
            ('[tiers."a b"]', "tiers.a b"),
            ('[tiers.""]', "tiers."),
            ("[tiers.free]\nrequests_per_minute = 0", "tiers.free.requests_per_minute"),
            ("[tiers.free]\ntokens_per_minute = -1", "tiers.free.tokens_per_minute"),
            ("[tiers.free]\nconcurrent = 1.5", "tiers.free.concurrent"),
            ('[tiers.free]\nsoft = ["tokens"]', "tiers.free.soft[0]"),
            ('[tiers.free]\nconcurrent = 1\nsoft = ["concurrent"]', "tiers.free.soft[0]"),
            ("[tiers.free]\nrpm = 5", "tiers.free.rpm"),
            ("[tiers.free.permodel]\nconcurrent = 1", "tiers.free.permodel"),
            ("[tiers.free]\nper_model = 5", "tiers.free.per_model"),
            ("[tiers.free]\nmodels = 5", "tiers.free.models"),
            ('[tiers.free.models."gpt-*"]\nconcurrent = 1', "tiers.free.models.gpt-*"),
            ('[tiers.free.models."gpt-4o"]\nconcurent = 1', "tiers.free.models.gpt-4o.concurent"),
            ('[limits]\ndefault_tier = "fre"\n[tiers.free]\nconcurrent = 1', "limits.default_tier"),
        ],
    )
    def test_a_slip_is_a_problem(self, tmp_path: Path, text: str, path: str) -> None:
        """A tier that cannot mean anything is found when the file is read, so a reload keeps the limits in force."""
        assert faults(tmp_path, text + "\n").keys() == {path}

    @pytest.mark.parametrize(
        ("text", "path", "fix"),
        [
            ("[tiers.free.permodel]\nconcurrent = 1", "tiers.free.permodel", "did you mean 'per_model'?"),
            ("[tiers.free]\nconcurent = 1", "tiers.free.concurent", "did you mean 'concurrent'?"),
            ('[limits]\ndefault_tier = "fre"\n[tiers.free]', "limits.default_tier", "did you mean 'free'?"),
            ('[limits]\ndefault_tier = "gold"', "limits.default_tier", "write [tiers.gold]"),
        ],
    )
    def test_a_slip_is_told_what_was_meant(self, tmp_path: Path, text: str, path: str, fix: str) -> None:
        """The closest name there is comes with the problem."""
        assert faults(tmp_path, text + "\n")[path].fix == fix

    def test_a_variable_names_the_default(self, tmp_path: Path) -> None:
        """The default tier can come from the environment, as every setting of a section."""
        settings = read(tmp_path, "[tiers.free]\nconcurrent = 1\n", {"TOLLHOUSE_LIMITS_DEFAULT_TIER": "free"})
        assert settings.limits.default_tier == "free"


def test_the_strictest_of_tiers_is_the_least_of_each_limit() -> None:
    """Of every limit the least counts; soft limits bind nobody, and no tiers make no limits."""
    one = Tier("one", Rates(60, 1000, None, frozenset({"tokens"})), Rates(9), {"m": Rates(2)})
    two = Tier("two", Rates(100, 5000, 4), Rates(7, 70))
    assert strictest({"one": one, "two": two}) == Tier("unknown", Rates(60, 5000, 4), Rates(7, 70), {"m": Rates(2, 70)})
    assert strictest({}) == Tier("unknown")
