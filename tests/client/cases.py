"""Answers, errors and streams with what is to be read in them: one table for Python and JavaScript (`cases.json`)."""

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("cases.json")
CASES: dict[str, list[dict[str, Any]]] = json.loads(FILE.read_text("utf-8"))
ANSWERS, ERRORS, WAITS, STREAMS = (CASES[name] for name in ("answers", "errors", "waits", "streams"))


def name(case: dict[str, Any]) -> str:
    """What a case is called."""
    return str(case.get("name", ""))
