"""The operator's own names for models, as far as settings alone can judge them."""

from pathlib import Path

import pytest

from tests.settings.reader import faults, read


class TestAliases:
    """[models]."""

    def test_names_of_ones_own(self, tmp_path: Path) -> None:
        """An alias is a string, a list in the order of trying, or a table with such a list."""
        text = """
        [models]
        fast-chat = "openai/gpt-4o-mini"
        "gpt-*" = "openai/*"
        "*" = "fast-chat"
        safe = ["openai/gpt-4o", "gpt-5#openai"]
        [models.smart]
        targets = ["openai/gpt-5", "gpt-5#openai"]
        """
        assert dict(read(tmp_path, text).aliases) == {
            "fast-chat": ("openai/gpt-4o-mini",),
            "gpt-*": ("openai/*",),
            "*": ("fast-chat",),
            "safe": ("openai/gpt-4o", "gpt-5#openai"),
            "smart": ("openai/gpt-5", "gpt-5#openai"),
        }

    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ("a = 1", "models.a"),
            ("a = []", "models.a.targets"),
            ("a = {}", "models.a.targets"),
            ("a = {targets = []}", "models.a.targets"),
            ("a = {targets = [1]}", "models.a.targets"),
            ('a = {target = "x", targets = ["x"]}', "models.a.target"),
            ('a = ""', "models.a.targets[0]"),
            ('a = "x y"', "models.a.targets[0]"),
            ('a = "x#nowhere"', "models.a.targets[0]"),
            ('a = "openai/*"', "models.a.targets[0]"),
            ('"a*" = "open*"', "models.a*.targets[0]"),
            ('"*a" = "x"', "models.*a"),
            ('"a#b" = "x"', "models.a#b"),
            ('a = "a"', "models.a"),
        ],
    )
    def test_a_bad_alias_is_a_problem(self, tmp_path: Path, text: str, path: str) -> None:
        """An alias that cannot mean anything is found when the file is read."""
        assert faults(tmp_path, f"[models]\n{text}\n").keys() == {path}

    def test_a_loop_is_shown_whole(self, tmp_path: Path) -> None:
        """Aliases that lead back to themselves are a problem, each with its way round."""
        found = faults(tmp_path, '[models]\na = "b"\nb = "c"\nc = "a"\nd = "a"\n')
        assert found.keys() == {"models.a", "models.b", "models.c"}
        assert "a -> b -> c -> a" in found["models.a"].message

    def test_a_host_pinned_by_a_slip_is_told_the_right_one(self, tmp_path: Path) -> None:
        """A pin to a host that does not exist comes with the closest that does."""
        problem = faults(tmp_path, '[models]\na = "gpt-4o#opnai"\n')["models.a.targets[0]"]
        assert problem.fix == "did you mean 'openai'?"
