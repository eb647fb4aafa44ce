r"""Strict JSON: what every request body passes before anything looks at it. Called by the readers of this package.

Theory of operation. RFC 8259 leaves much open (equal names, number range, nesting), and two parsers that settle it
differently let a request be priced one way and executed another. So a body is read only when it means one thing to
everyone: valid UTF-8, no equal keys in one object, integers of 64 bits, finite numbers, whole surrogate pairs, and
bounded depth, keys and values. Each step is cheap for honest bodies and linear for the rest:

1. msgspec decodes. It refuses by itself bad UTF-8, a byte order mark, raw control characters, NaN, Infinity, 1e999
   and halves of surrogate pairs. It does not refuse equal keys (the last wins), long integers, or deep nesting up to
   the interpreter's recursion limit. A body so long that it could hold too many values is counted before it.
2. One walk over the values, level by level, checks depth, keys and integers.
3. Equal keys show in what is left of them. Encoding the decoded value gives back the very bytes of a client that
   sends no white space: then nothing was lost. For other clients colons are counted: encoding keeps every colon of
   every string (neither side escapes it, once ``\u003a`` is ruled out) and writes one for each surviving key, so as
   many colons as came in means that no key was lost. Only what both proofs leave open is parsed again, slowly.
"""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from tollhouse.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Limits:
    """How much structure one body may have. ``values`` counts commas and opening brackets outside strings."""

    depth: int = 64
    keys: int = 10_000
    values: int = 500_000


LIMITS = Limits()

decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode

PREFIX = "We could not parse the JSON body of your request: "
SMALLEST_INTEGER, LARGEST_INTEGER = -(1 << 63), (1 << 64) - 1  # what fits an int64 or a uint64
SLICE_BYTES = 1 << 20


def parse(body: bytes, limits: Limits = LIMITS) -> dict[str, Any]:
    """The object that ``body`` holds. Raises `InvalidRequest` that says what is wrong, and where."""
    if len(body) > limits.values:
        check_size(body, limits)
    try:
        value = decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        explain(body, error)
    except RecursionError:
        refuse_depth(limits)
    if type(value) is not dict:
        raise InvalidRequest(f"{PREFIX}the top level must be an object, but it is {name_kind(value)}.")
    check_shape(value, limits)
    encoded = encode(value)
    if encoded != body and (encoded.count(b":") != body.count(b":") or has_escaped_colon(body)):
        check_unique(body)
    return value


def has_escaped_colon(body: bytes) -> bool:
    """Whether a colon may have been written as an escape."""
    return b"\\u003" in body and (b"\\u003a" in body or b"\\u003A" in body)


# --- limits ------------------------------------------------------------------------------------------------------


def check_size(body: bytes, limits: Limits) -> None:
    """Few enough values that decoding takes memory in proportion to the body. Strings do not count."""
    if body.count(b",") + body.count(b"[") + body.count(b"{") <= limits.values:
        return
    outside = outside_strings(body)
    if outside.count(b",") + outside.count(b"[") + outside.count(b"{") > limits.values:
        raise InvalidRequest(f"{PREFIX}it has more than {limits.values} values.", code="invalid_json")


def outside_strings(body: bytes) -> bytes:
    r"""What stands between the strings of JSON: brackets, colons, commas, numbers, literals, white space.

    Backslashes stand only in strings, so once the pairs ``\\`` and ``\"`` are deleted every other quote opens a
    string. Works in slices, so that a body of millions of tiny strings does not become millions of objects at once.
    """
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    kept = []
    inside = False
    for start in range(0, len(body), SLICE_BYTES):
        pieces = body[start : start + SLICE_BYTES].split(b'"')
        kept.append(b"".join(pieces[inside::2]))
        inside ^= len(pieces) % 2 == 0
    return b"".join(kept)


def check_shape(value: dict[str, Any], limits: Limits) -> None:
    """Depth, keys and the size of integers."""
    level: list[Any] = [value]
    keys = 0
    for _ in range(limits.depth):
        below: list[Any] = []
        for parent in level:
            if type(parent) is dict:
                keys += len(parent)
                parent = parent.values()  # noqa: PLW2901 - from here on an object is its values
            for child in parent:
                kind = type(child)
                if kind is dict or kind is list:
                    below.append(child)
                elif kind is int and not SMALLEST_INTEGER <= child <= LARGEST_INTEGER:
                    refuse_number(str(child))
        if keys > limits.keys:
            raise InvalidRequest(f"{PREFIX}it has more than {limits.keys} keys.", code="invalid_json")
        if not below:
            return
        level = below
    refuse_depth(limits)


def refuse_depth(limits: Limits) -> NoReturn:
    """Arrays and objects nest too deep."""
    raise InvalidRequest(f"{PREFIX}it is nested deeper than {limits.depth} levels.", code="invalid_json")


def refuse_number(digits: str) -> NoReturn:
    """A number too large for any of the usual types."""
    shown = digits if len(digits) <= 40 else f"{digits[:36]}..."
    raise InvalidRequest(f"{PREFIX}the number {shown} is out of range.", code="invalid_json")


# --- equal keys --------------------------------------------------------------------------------------------------


class Doubled(dict[str, Any]):
    """An object that had two equal keys, of which ``key`` is the first."""

    __slots__ = ("key",)

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.key = next(name for name in names if names.count(name) > 1)


def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object as the standard library's parser found it."""
    value = dict(pairs)
    return value if len(value) == len(pairs) else Doubled([key for key, _ in pairs])


def check_unique(body: bytes) -> None:
    """No object has two equal keys, escapes resolved. The slow and exact way."""
    found = find_doubled(json.loads(body, object_pairs_hook=collect), "")
    if found is not None:
        path, key = found
        key = key if len(key) <= 64 else f"{key[:61]}..."
        place = f"in '{path}'" if path else "at the top level"
        param = f"{path}.{key}" if path else key
        raise InvalidRequest(f"{PREFIX}the key '{key}' appears twice {place}.", param=param, code="invalid_json")


def find_doubled(value: Any, path: str) -> tuple[str, str] | None:
    """The path of the first object with equal keys, and the key."""
    if type(value) is Doubled:
        return path.removeprefix("."), value.key
    steps: Iterable[tuple[str, Any]] = ()
    if type(value) is dict:
        steps = ((f".{key}", item) for key, item in value.items())
    elif type(value) is list:
        steps = ((f"[{index}]", item) for index, item in enumerate(value))
    found = (find_doubled(item, path + step) for step, item in steps)
    return next((each for each in found if each is not None), None)


# --- what to tell the client -------------------------------------------------------------------------------------

PLACE = re.compile(r"(?:JSON is malformed: )?(.*) \(byte (\d+)\)$")
HUGE = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?[eE][-+]?[0-9]+|-?[0-9.]{300,}")
LONE = re.compile(
    rb"\\u[dD](?:[89abAB]..(?!\\u[dD][c-fC-F])|[c-fC-F]..(?<!\\u[dD][89abAB]..\\u[dD][c-fC-F]..))", re.DOTALL
)


def explain(body: bytes, error: msgspec.DecodeError | UnicodeDecodeError) -> NoReturn:
    """Says why msgspec refused ``body``. msgspec's text gives most places; the others are looked for here."""
    if not body.strip():
        raise InvalidRequest(f"{PREFIX}it is empty.")
    if body.startswith(b"\xef\xbb\xbf"):
        refuse_at(body, 0, "it starts with a byte order mark")
    try:
        body.decode()
    except UnicodeDecodeError as bad:  # msgspec's own counts from the start of the string
        refuse_at(body, bad.start, "invalid UTF-8")
    lone = LONE.search(body.replace(b"\\\\", b"__"))
    if lone:
        refuse_at(body, lone.start(), "an escape that is half of a surrogate pair")
    if isinstance(error, msgspec.ValidationError):
        refuse_number(find_huge_number(body))
    placed = PLACE.match(str(error))
    if placed:
        refuse_at(body, int(placed[2]), placed[1])
    refuse_at(body, len(body), "it ends too early")


def find_huge_number(body: bytes) -> str:
    """The first number that no double holds."""
    tokens = (match[0].decode() for match in HUGE.finditer(outside_strings(body)))
    return next((token for token in tokens if math.isinf(float(token))), "in it")


def refuse_at(body: bytes, offset: int, why: str) -> NoReturn:
    """Lines and columns count from 1, in characters; bytes from 0."""
    line_start = body.rfind(b"\n", 0, offset) + 1
    line = body.count(b"\n", 0, offset) + 1
    column = len(body[line_start:offset].decode(errors="replace")) + 1
    raise InvalidRequest(f"{PREFIX}{why} at line {line}, column {column} (byte {offset}).")


def name_kind(value: Any) -> str:
    """A JSON type as OpenAI's messages name it."""
    return KINDS.get(type(value), "an unsupported value")


KINDS: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    int: "an integer",
    float: "a decimal number",
    bool: "a boolean",
    type(None): "null",
}
