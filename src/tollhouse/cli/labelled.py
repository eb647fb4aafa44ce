"""Reads texts that people have labelled: JSON lines or CSV, for ``tollhouse safety eval``.

A JSON line is ``{"text": ..., "labels": {"hate": 1, ...}}``; a CSV file has a column ``text`` and one for each
category. A label is 0 or 1, or true or false; one that is absent, null or empty is not known, and counts nowhere.
"""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from tollhouse.safety.classifier import HEADS

_TEXT, _LABELS = "text", "labels"
_ALSO = {"harassment": "hate", "self-harm": "self_harm"}
"""Other names that labels go by. Harassment is part of our hate: of two labels the 1 counts."""
_TRUTHS: Mapping[object, int] = {0: 0, 1: 1, "0": 0, "1": 1, "false": 0, "true": 1, "no": 0, "yes": 1}
_UNKNOWN = frozenset({"", "null", "none", "na", "nan"})


class Unreadable(Exception):
    """A file that holds no labelled texts. The message says what and where."""


class Row(Struct, frozen=True):
    """One text and what is known of it."""

    text: str
    labels: Mapping[str, int]
    """By one of `HEADS`: 0 or 1."""


def read_rows(path: Path) -> list[Row]:
    """Every text of a file, by its ending. Raises `Unreadable`, OSError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(_of_csv(file) if path.suffix.lower() == ".csv" else _of_lines(file))
    except UnicodeDecodeError:
        raise Unreadable("it is not UTF-8") from None
    if not any(row.labels for row in rows):
        raise Unreadable(f"it has no label of {', '.join(HEADS)}")
    return rows


def _of_lines(lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise Unreadable(f"line {number} is not JSON") from None
        text = row.get(_TEXT) if isinstance(row, dict) else None
        labels = row.get(_LABELS) if isinstance(row, dict) else None
        if not isinstance(text, str) or not isinstance(labels, dict):
            raise Unreadable(f'line {number} is not {{"{_TEXT}": ..., "{_LABELS}": {{...}}}}')
        yield Row(text, _labels(labels, number))


def _of_csv(file: Iterable[str]) -> Iterator[Row]:
    before = csv.field_size_limit(sys.maxsize)
    try:
        reader = csv.DictReader(file, strict=True)
        if _TEXT not in (reader.fieldnames or ()):
            raise Unreadable(f"it has no column '{_TEXT}'")
        for row in reader:
            labels = {name: value for name, value in row.items() if isinstance(name, str) and name != _TEXT}
            yield Row(row[_TEXT] or "", _labels(labels, reader.line_num))
    except csv.Error as error:
        raise Unreadable(f"line {reader.line_num}: {error}") from None
    finally:
        csv.field_size_limit(before)


def _labels(given: Mapping[str, object], line: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, value in given.items():
        head = _ALSO.get(name, name)
        word = value.strip().lower() if isinstance(value, str) else value
        if head not in HEADS or word is None or (isinstance(word, str) and word in _UNKNOWN):
            continue
        truth = _TRUTHS.get(word) if isinstance(word, str | int | float) else None
        if truth is None:
            raise Unreadable(f"line {line}: the label '{name}' is neither 0 nor 1")
        found[head] = max(truth, found.get(head, 0))
    return found
