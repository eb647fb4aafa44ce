"""How a problem with a setting is worded."""

from pathlib import Path

import pytest

from tests.settings.reader import faults


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_number_must_be_finite(tmp_path: Path, number: str) -> None:
    """What is no finite number is told from numbers in the problem's own words."""
    problem = faults(tmp_path, f"[server]\nkeep_alive_s = {number}\n")["server.keep_alive_s"]
    assert problem.message == "expected a finite number, got nan or infinity"


def test_control_characters_never_reach_a_terminal(tmp_path: Path) -> None:
    """A name with a line break or an escape is written with its code, so that a problem stays on its one line."""
    text = '[providers.openai]\napi_key = "k"\n[providers.openai.headers]\n"a\\nb\\u001b[31m\\u202e" = "x"\n'
    found = faults(tmp_path, text)
    assert "providers.openai.headers.a\\nb\\x1b[31m\\u202e" in found
    assert all(str(problem).isprintable() for problem in found.values())
