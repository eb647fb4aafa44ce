"""Reading settings: a TOML table or a variable's text becomes a frozen dataclass, and every fault a `Problem`.

Called by `config` only. Nothing here stops at the first fault, and nothing here repeats a value that may be a secret.
"""

import difflib
import os
import stat
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

MAX_FILE_BYTES = 1 << 20
"""A configuration over 1 MiB is a mistake (a generated file that grew, or not a configuration at all)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: where (``providers.openai.api_key``), what is wrong, and what to do about it."""

    path: str
    message: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" + (f" -> {self.fix}" if self.fix else "")


class ConfigInvalid(Exception):
    """The configuration cannot be used. ``problems`` holds every fault found, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def visible(text: str) -> str:
    """The text on one line: what a terminal or a log would act on (a line break, an escape) is written as its code."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


@dataclass(slots=True)
class Problems:
    """The faults found so far."""

    found: list[Problem] = field(default_factory=list)

    def add(self, path: str, message: str, fix: str = "") -> None:
        """Notes a fault and carries on."""
        self.found.append(Problem(visible(path), visible(message), visible(fix)))

    def unknown(self, path: str, name: str, names: Iterable[str]) -> None:
        """Notes a name that is none of ``names``, with the closest of them."""
        close = closest(name, names)
        self.add(path, "no such key", f"did you mean {close!r}?" if close else "remove it")


@dataclass(frozen=True, slots=True)
class Key:
    """One setting as its metadata describes it; ``kind`` is the annotation of the field."""

    name: str
    kind: Any
    default: Any
    doc: str
    unit: str
    least: float | None
    most: float | None
    choices: tuple[str, ...]


def key(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A dataclass field that is a setting: its default, one documentation line, its unit and its range."""
    return field(
        default=default,
        metadata={"doc": doc, "unit": unit, "least": least, "most": most, "choices": choices},
    )


@cache
def keys(section: type) -> tuple[Key, ...]:
    """The settings of a section's dataclass, in the order in which they are written."""
    hints = get_type_hints(section)
    return tuple(Key(name=f.name, kind=hints[f.name], default=f.default, **f.metadata) for f in fields(section))


def closest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return found[0] if found else None


# --- the file ----------------------------------------------------------------------------------------------------


def read_file(path: Path, problems: Problems) -> tuple[dict[str, Any], bool]:
    """The file's tables, and whether everybody on this machine can read it.

    Numbers with a fraction stay `Decimal`, so that a price is what was written. An unreadable file is one problem.
    """
    try:
        with open(path, "rb", opener=open_at_once) as source:
            status = os.fstat(source.fileno())
            if not stat.S_ISREG(status.st_mode):
                problems.add(str(path), "not a regular file")
                return {}, False
            data = source.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        problems.add(str(path), f"cannot be read: {error.strerror}", "check the path and its permissions")
        return {}, False
    if len(data) > MAX_FILE_BYTES:
        problems.add(str(path), f"over {MAX_FILE_BYTES} bytes", "a configuration is small: is this the right file?")
        return {}, False
    return _parse(data, path, problems), bool(status.st_mode & stat.S_IROTH)


def open_at_once(path: str, flags: int) -> int:
    """Opens without waiting: a named pipe would block until somebody writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)


def _parse(data: bytes, path: Path, problems: Problems) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode(), parse_float=Decimal)
    except UnicodeDecodeError as error:
        problems.add(str(path), f"not UTF-8 at byte {error.start}", "save the file as UTF-8")
    except tomllib.TOMLDecodeError as error:
        problems.add(str(path), f"not TOML: {error}", "see https://toml.io")
    except (ValueError, ArithmeticError, RecursionError):
        # An integer beyond Python's digit limit, a number beyond Decimal's exponent, arrays nested without end.
        problems.add(str(path), "not usable TOML: a number is too long, or tables nest too deep")
    return {}


# --- one section -------------------------------------------------------------------------------------------------


def read_section(section: type[T], table: object, path: str, problems: Problems) -> T:
    """A section's dataclass from its TOML table; faulty keys keep their default and are noted."""
    return section(**read_table(section, table, path, problems))


def read_table(section: type, table: object, path: str, problems: Problems) -> dict[str, Any]:
    """The values that a TOML table states for a section, those without fault."""
    if not isinstance(table, dict):
        problems.add(path, f"expected a table, got {describe(table)}", f"write [{path}]")
        return {}
    known = {k.name: k for k in keys(section)}
    values: dict[str, Any] = {}
    for name, raw in table.items():
        if name not in known:
            problems.unknown(f"{path}.{name}", name, known)
            continue
        value = read_value(known[name], raw, f"{path}.{name}", problems)
        if value is not None:
            values[name] = value
    return values


def read_value(spec: Key, raw: object, path: str, problems: Problems) -> Any | None:
    """The setting's value, or ``None`` after noting why it cannot be used."""
    value = _convert(spec.kind, raw)
    if value is None:
        problems.add(path, f"expected {describe_kind(spec.kind)}, got {describe(raw)}")
        return None
    if spec.choices and value not in spec.choices:
        problems.add(path, f"expected one of {', '.join(map(repr, spec.choices))}")
        return None
    if spec.least is not None and value < spec.least:
        problems.add(path, f"must be at least {spec.least:g}{_of(spec)}")
        return None
    if spec.most is not None and value > spec.most:
        problems.add(path, f"must be at most {spec.most:g}{_of(spec)}")
        return None
    return value


def _of(spec: Key) -> str:
    return f" {spec.unit}" if spec.unit else ""


def _convert(kind: Any, raw: object) -> Any | None:
    if kind in {float, Decimal} and isinstance(raw, int | Decimal) and not isinstance(raw, bool):
        number = Decimal(raw)
        return kind(number) if number.is_finite() else None
    if kind in {bool, int, str} and type(raw) is kind:
        return raw
    if kind is Path and isinstance(raw, str):
        return Path(raw)
    if get_origin(kind) is tuple and isinstance(raw, list):
        item = get_args(kind)[0]
        items = [_convert(item, one) for one in raw]
        return None if None in items else tuple(items)
    return None


def describe_kind(kind: Any) -> str:
    """What a setting expects, in words."""
    if get_origin(kind) is tuple:
        return "a list of strings"
    names = {bool: "true or false", int: "a whole number", float: "a finite number", str: "a string", Path: "a path"}
    return names.get(kind, "a finite number")


def describe(raw: object) -> str:
    """What was found, by type only: the value itself may be a secret."""
    if isinstance(raw, Decimal) and not raw.is_finite():
        return "nan or infinity"
    names: Mapping[type, str] = {
        bool: "a boolean",
        int: "a whole number",
        Decimal: "a number",
        str: "a string",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(raw), "a date or time")


def from_text(kind: Any, text: str) -> object:
    """A variable's text as the value TOML would have given; text that does not fit is returned as it is."""
    if kind is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    if kind is int:
        return int(text) if text.isascii() and text.removeprefix("-").isdigit() and len(text) < 20 else text
    if kind in {float, Decimal}:
        return _decimal(text)
    if get_origin(kind) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _decimal(text: str) -> object:
    try:
        return Decimal(text)
    except ArithmeticError:
        return text
