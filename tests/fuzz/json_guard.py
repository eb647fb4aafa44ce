"""Fuzzes `validate.guard` against the standard library's JSON parser, made strict by hooks.

What must hold: a body is read exactly when the strict reader reads it, and to the same value; whatever is wrong is an
`InvalidRequest` that can be shown.
"""

import json
import math
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any, NoReturn

from tests.fuzz.engine import Case
from tests.fuzz.mutate import damage, spoil, to_json
from tollhouse.errors import InvalidRequest
from tollhouse.validate.guard import LIMITS, Limits, parse

SMALL = Limits(depth=4, keys=6, values=24)
SAMPLES: tuple[Any, ...] = (
    {"model": "m", "messages": [{"role": "user", "content": 'hi: {there}, \\ "you" \u20ac \U0001f600'}]},
    {"a": [1, -2, 3.5, 1e300, None, True, {"b": {"c": [[], {}, [{}]]}}], "": {"": {"": ""}}},
    {"n": 18446744073709551615, "m": -9223372036854775808, "k": [0, -0.0, 5e-324]},
    {"deep": [[[[[[{"a": [[[]]]}]]]]]], "a:b": ":", "a,b": "[,]"},
)
WORDS = (
    *(b'"a":', b'"a":1,', b',"a":2', b'"\\u0061":', b'"\\u003a"', b":", b",", b'"', b"\\", b"{", b"}", b"[", b"]"),
    *(b"null", b"NaN", b"-Infinity", b"1e999", b"-1e999", b"1e308", b"0.1e400", b"-0", b"01", b"1.", b".5", b"+1"),
    *(b"0." + b"1" * 1100, b"0." + b"1" * 1101, b"0." + b"0" * 1073 + b"49", b'"' + b"1" * 1200 + b'"'),
    *(b"18446744073709551615", b"18446744073709551616", b"-9223372036854775809", b"1" * 400, b"1" * 5000),
    *(b'"\\ud800"', b'"\\ud83d\\ude00"', b'"\\udc00\\ud800"', b"\xef\xbb\xbf", b"\xff", b"\xc0\x80", b"\xed\xa0\x80"),
    *(b"\x00", b"\t", b"\n", b"\x0c", b"\xc2\xa0", b'"\x01"', b"//", b"[" * 70, b"[" * 5000, b'{"a":' * 70),
)


class Refused(Exception):
    """The strict reader does not take it."""


def refuse(_: object) -> NoReturn:
    """For a constant that JSON does not have."""
    raise Refused


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object without equal keys."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Refused
    return value


def integer(digits: str) -> int:
    """An integer of 64 bits, signed or not."""
    if len(digits) > 30 or not -(2**63) <= int(digits) < 2**64:
        raise Refused
    return int(digits)


def decimal(digits: str) -> float:
    """A number that a double holds, without an endless row of digits."""
    if re.search("[0-9]{1101}", digits) or math.isinf(float(digits)):
        raise Refused
    return float(digits)


def reference(body: bytes, limits: Limits) -> dict[str, Any]:
    """The object of a body. Raises `Refused`."""
    try:
        text = body.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=unique, parse_constant=refuse, parse_int=integer, parse_float=decimal
        )
    except (ValueError, RecursionError):
        raise Refused from None
    if not isinstance(value, dict):
        raise Refused
    measure(value, limits)
    return value


def measure(value: dict[str, Any], limits: Limits) -> None:
    """Depth, keys, values, and whole surrogate pairs."""
    keys = values = 0
    todo: list[tuple[Any, int]] = [(value, 1)]
    for item, depth in todo:
        if isinstance(item, dict | list):
            keys += len(item) if isinstance(item, dict) else 0
            values += max(1, len(item))
            if depth > limits.depth:
                raise Refused
            todo += [(inner, depth + 1) for inner in (item.values() if isinstance(item, dict) else item)]
        texts = [*item] if isinstance(item, dict) else [item] if isinstance(item, str) else []
        if any("\ud800" <= character <= "\udfff" for text in texts for character in text):
            raise Refused
    if keys > limits.keys or values > limits.values:
        raise Refused


class JsonGuard:
    """The target."""

    fixed = 0

    def make(self, random: Random) -> Case:
        """A value in some layout, changed as a value or as bytes."""
        body = to_json(random, spoil(random, random.choice(SAMPLES)))
        return (damage(random, body, WORDS) if random.random() < 0.8 else body,)

    async def check(self, case: Case) -> None:
        """With the usual limits and with small ones."""
        for limits in (LIMITS, SMALL):
            body = b"".join(case)
            try:
                wanted = repr(reference(body, limits))
            except Refused:
                wanted = "refused"
            try:
                got = repr(parse(body, limits))
            except InvalidRequest as fault:
                json.dumps(fault.body("req_1"), ensure_ascii=False).encode()
                got = "refused"
            assert got == wanted, (limits, got, wanted)


@asynccontextmanager
async def opened() -> AsyncIterator[JsonGuard]:
    """The target."""
    yield JsonGuard()
