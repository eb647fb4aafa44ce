"""Strict JSON: what is refused, where, and that nothing else is."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.errors import InvalidRequest
from tollhouse.validate.guard import Limits, parse
from tollhouse.validate.spelling import shorten

START = "We could not parse the JSON body of your request: "


def refuse(body: bytes, limits: Limits | None = None) -> InvalidRequest:
    """The error that this body meets."""
    with pytest.raises(InvalidRequest) as caught:
        parse(body, limits or Limits())
    return caught.value


MALFORMED = [
    (b"", "it is empty."),
    (b" \n", "it is empty."),
    (b"\xef\xbb\xbf{}", "it starts with a byte order mark at line 1, column 1 (byte 0)."),
    (b'{"a":\n  NaN}', "invalid character at line 2, column 3 (byte 8)."),
    (b'{"a":Infinity}', "invalid character at line 1, column 6 (byte 5)."),
    (b'{"a":-Infinity}', "(byte 6)."),
    (b'{"a":1,}', "trailing comma in object at line 1, column 8 (byte 7)."),
    (b'{"a":[1,]}', "trailing comma in array at line 1, column 9 (byte 8)."),
    (b"{'a':1}", "object keys must be strings at line 1, column 2 (byte 1)."),
    (b'{"a" 1}', "expected ':' at line 1, column 6 (byte 5)."),
    (b'{"a":01}', "invalid number"),
    (b'{"a":.5}', "invalid character"),
    (b'{"a":+1}', "invalid character"),
    (b'{"a":1 /* no */}', "at line 1, column 8 (byte 7)."),
    (b'{"a":tru}', "invalid character"),
    (b'{"a":"\\x"}', "invalid escape character in string"),
    (b'{"a":1}{}', "trailing characters"),
    (b'{"a":1}\x00', "trailing characters"),
    (b'\x0b{"a":1}', "invalid character at line 1, column 1 (byte 0)."),
    (b'{"a":"\x00"}', "invalid character at line 1, column 7 (byte 6)."),
    (b'{"a":"\x1f"}', "invalid character"),
    (b'{"a":"line\nbreak"}', "invalid character at line 1, column 11 (byte 10)."),
    (b'{"\xc3\xa9": x}', "invalid character at line 1, column 7 (byte 7)."),
    (b'{"a":"b', "it ends too early at line 1, column 8 (byte 7)."),
    (b'{"a"', "it ends too early"),
    (b'{"a":"\xff"}', "invalid UTF-8 at line 1, column 7 (byte 6)."),
    (b'{"\xff":1}', "invalid UTF-8 at line 1, column 3 (byte 2)."),
    (b'{"a":"\xc0\x80"}', "invalid UTF-8"),
    (b'{"a":"\xed\xa0\x80"}', "invalid UTF-8"),
    (b'{"a":"\xf4\x90\x80\x80"}', "invalid UTF-8"),
    (b'{"a":"\\ud800"}', "an escape that is half of a surrogate pair at line 1, column 7 (byte 6)."),
    (b'{"a":"\\\\\\udc00"}', "an escape that is half of a surrogate pair at line 1, column 9 (byte 8)."),
    (b'{"a":"\\ud83d\\ude00\\ud83d\\u0041"}', "half of a surrogate pair at line 1, column 19 (byte 18)."),
    (b'{"a":"\\ud800', "half of a surrogate pair"),
    (b"[]", "the top level must be an object, but it is an array."),
    (b"null", "the top level must be an object, but it is null."),
    (b"1", "the top level must be an object, but it is an integer."),
]


@pytest.mark.parametrize(("body", "why"), MALFORMED, ids=lambda value: repr(value)[:40])
def test_f66_f67_bodies_that_are_not_json_are_refused_with_the_place(body: bytes, why: str) -> None:
    """A body that RFC 8259 does not allow is a 400 with code null that says why, and where."""
    error = refuse(body)
    assert error.message.startswith(START)
    assert why in error.message
    assert (error.status, error.code, error.param) == (400, None, None)


HUGE = "9" * 5000


@pytest.mark.parametrize(
    "number",
    [
        *("18446744073709551616", "-9223372036854775809", HUGE, "-" + HUGE, HUGE + ".5", "-0." + HUGE, "1e-" + HUGE),
        *("1e999", "-1e999", "1e0400", "9" * 310, "9" * 310 + ".5", "0.1e400", "17" * 150 + "e20"),
    ],
)
def test_f66_numbers_that_do_not_fit_are_refused(number: str) -> None:
    """A number outside 64 bits or outside a double is named in the error, wherever it stands."""
    for body in (f'{{"a":{number}}}', f'{{"b":["1e999",{{"c":{number}}}]}}'):
        error = refuse(body.encode())
        assert error.message == f"{START}the number {shorten(number)} is out of range."
        assert error.code == "invalid_json"


@pytest.mark.parametrize(
    "number", ["18446744073709551615", "-9223372036854775808", "1e-999", "0.12345678901234567890123"]
)
def test_numbers_at_the_edge_pass(number: str) -> None:
    """The largest integers of 64 bits, and decimals with more digits than a double keeps, are numbers."""
    assert parse(f'{{"a":{number}}}'.encode()) == {"a": json.loads(number)}


@pytest.mark.parametrize("digits", [1099, 1100, 1101, 1102, 1210, 1300])
@pytest.mark.parametrize("offset", [0, 1, 57, 108, 109])
def test_a_double_written_out_in_full_passes_and_more_digits_do_not(digits: int, offset: int) -> None:
    """1,100 digits in a row are a number, one more is a 400, wherever in a body they stand; in a string none count."""
    text, run = "x" * offset, "7" * digits
    assert parse(f'{{"s":"{text}{run}"}}'.encode()) == {"s": text + run}
    body = f'{{"s":"{text}","a":0.{run}}}'.encode()
    if digits <= 1100:
        assert parse(body)["a"] == pytest.approx(7 / 9)
    else:
        assert refuse(body).message == f"{START}the number {shorten('0.' + run)} is out of range."


def test_a_huge_number_far_into_a_body_is_refused_without_its_name() -> None:
    """A number out of range is refused wherever it stands, and is looked for only near the start."""
    assert refuse(b'{"a":[' + b"1," * 20_000 + b"1e999]}").message == f"{START}a number in it is out of range."


LARGE = [
    (b'{"a":[', b"9" * 299 + b",", 10_000, b"1e999]}"),
    (b'{"a":[', b"1." + b"9" * 60 + b",", 480_000, b"1e999]}"),
    (b'{"a":', b"9", 30 << 20, b"}"),
    (b'{"a":[', b"9" * 4000 + b",", 8000, b"0]}"),
    (b'{"a":0.', b"9", 30 << 20, b"e99}"),
    (b'{"a":"', b"\\ud83d\\ude00", 2 << 20, b'\\ud800"}'),
    (b'{"a":"', b"\\", 30 << 20, b""),
    (b"", b"\n", 30 << 20, b"{x"),
    (b'{"a":"', b"0", 30 << 20, b""),
]


@pytest.mark.parametrize("parts", LARGE, ids=lambda parts: repr(parts[1][:12]))
def test_large_bad_bodies_are_refused_in_time_in_proportion(parts: tuple[bytes, bytes, int, bytes]) -> None:
    """A bad body of the largest size is refused within the time that its length allows, whatever is in it."""
    start, middle, times, end = parts
    body = start + middle * times + end
    before = time.process_time()
    assert refuse(body).status == 400
    assert time.process_time() - before < 5


@pytest.mark.parametrize("lead", [b"", *(b"x" * count for count in range(5, 20)), b"\\\\", b"x\\\\" * 9, b"\\n" * 9])
@pytest.mark.parametrize("pairs", [0, 1, 5])
@pytest.mark.parametrize("half", [b"\\ud800", b"\\udc00", b"\\ud800\\u0041", b"\\ud83d\\ud83d\\ude00"])
def test_the_place_of_half_a_pair_is_exact(lead: bytes, pairs: int, half: bytes) -> None:
    """Half of a surrogate pair is named by its own place, whatever escapes and pairs stand before and after it."""
    start = b'{"a":"' + lead + b"\\ud83d\\ude00" * pairs
    for rest in (b'"}', b"", b'\\n"}', b'xxxxxxxxxxxx"}'):
        message = refuse(start + half + rest).message
        assert "half of a surrogate pair" in message
        assert f"(byte {len(start)})" in message


DUPLICATES = [
    (b'{"a":1,"a":1}', "the key 'a' appears twice at the top level.", "a"),
    (b'{"a":{"b":[{},{"c":1,"c":2}]}}', "the key 'c' appears twice in 'a.b[1]'.", "a.b[1].c"),
    (b'{"a": 1, "x": ":", "\\u0061": 2}', "the key 'a' appears twice at the top level.", "a"),
    (b'{"a":"\\u003a","a":":"}', "the key 'a' appears twice at the top level.", "a"),
    (b'{"a":"\\u003A\\u003a","a":1}', "the key 'a' appears twice at the top level.", "a"),
    (b'{"\\u003a":"\\u003a\\u003a", "b":1, ":":2}', "the key ':' appears twice at the top level.", ":"),
    (b'{"x":1,"b":[0,{"c":1,"c":2}],"d":{"e":1}}', "the key 'c' appears twice in 'b[1]'.", "b[1].c"),
    (b'{"":1,"":2}', "the key '' appears twice at the top level.", ""),
    (b'{"' + b"k" * 99 + b'":1,"' + b"k" * 99 + b'":1}', "the key '" + "k" * 61 + "...'", "k" * 61 + "..."),
]


@pytest.mark.parametrize(("body", "why", "param"), DUPLICATES, ids=[row[2][:8] for row in DUPLICATES])
def test_f66_s34_equal_keys_are_refused(body: bytes, why: str, param: str) -> None:
    """Two equal keys in one object are a 400 that names the key and the object, however the keys are spelled."""
    error = refuse(body)
    assert why in error.message
    assert (error.code, error.param) == ("invalid_json", param)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":{"a":1},"b":[{"a":1},{"a":2}]}',
        b'{"a": "\\u003a:", "b": "\\\\u003a"}',
        b'{"a":"a\\":1,\\"a\\":2"}',
        b'{ "a" : "\\u003c\\/\\u00e9\\ud83d\\ude00\\u0000" }\r\n\t ',
        '{"a":"\x7f\u2028\u00e9\U0001f600","":[]}'.encode(),
    ],
)
def test_odd_but_good_bodies_pass(body: bytes) -> None:
    """Equal keys in different objects, colons in strings, escapes and white space are no reason to refuse a body."""
    assert parse(body) == json.loads(body)


def nest(depth: int, opening: bytes, closing: bytes) -> bytes:
    """An object in which the innermost container is at ``depth``."""
    return b'{"a":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_f65_s34_depth_is_bounded(opening: bytes, closing: bytes) -> None:
    """64 levels pass; 65, a thousand and a hundred thousand are a 400, closed or not."""
    assert "a" in parse(nest(64, opening, closing))
    for body in (nest(65, opening, closing), nest(1000, opening, closing), nest(100_000, opening, closing)):
        assert refuse(body).message == f"{START}it is nested deeper than 64 levels."
        assert refuse(body).code == "invalid_json"
    assert refuse(b'{"a":' + opening * 100_000).code == "invalid_json"


def test_brackets_in_strings_are_no_depth() -> None:
    """Text may hold any number of brackets, quotes and backslashes."""
    text = '[{"\\' * 30_000 + "]"
    assert parse(json.dumps({"a": text}).encode()) == {"a": text}


def test_keys_are_bounded_over_the_whole_body() -> None:
    """10,000 keys in all pass, one more is a 400."""
    rows = [{str(key): 0 for key in range(100)} for _ in range(99)]
    last = {str(key): 0 for key in range(99)}
    assert parse(json.dumps({"a": [*rows, last]}).encode())
    error = refuse(json.dumps({"a": [*rows, last, {"b": 0}]}).encode())
    assert (error.message, error.code) == (f"{START}it has more than 10000 keys.", "invalid_json")


def test_values_are_bounded_before_they_are_decoded() -> None:
    """Half a million commas and brackets pass in strings; one more than that outside them is a 400."""
    assert parse(json.dumps({"a": ',[{"\\' * 300_000}).encode())
    assert parse(b'{"a":[' + b"0," * 499_997 + b"0]}")
    error = refuse(b'{"a":[' + b'"",' * 500_000 + b"0]}")
    assert (error.message, error.code) == (f"{START}it has more than 500000 values.", "invalid_json")


def test_limits_are_the_callers() -> None:
    """Other limits than the usual ones can be set."""
    limits = Limits(depth=2, keys=2, values=20)
    assert parse(b'{"a":[1,2],"b":1}', limits)
    for body in (b'{"a":[[]]}', b'{"a":1,"b":2,"c":3}', b'{"a":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}'):
        assert refuse(body, limits).code == "invalid_json"


# --- against the standard library --------------------------------------------------------------------------------


def refuse_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object without equal keys."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError(pairs)
    return value


def refuse_constant(name: str) -> None:
    """NaN and Infinity."""
    raise ValueError(name)


def read_slowly(body: bytes) -> Any:
    """An independent strict reader, or `ValueError`."""
    value = json.loads(body.decode(), object_pairs_hook=refuse_pairs, parse_constant=refuse_constant)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # refuses lone surrogates and 1e999
    if not isinstance(value, dict):
        raise ValueError(value)  # noqa: TRY004 - one error for all
    return value


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from([":", "a:b", '"', "\\", "\\u003a", "[{", "é"])
)
KEYS = st.sampled_from(["a", "b", ":", '"', "\\"]) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
BODIES = st.dictionaries(KEYS, VALUES, max_size=5)


@settings(deadline=None, database=None)
@given(BODIES, st.sampled_from([None, 1]), st.booleans())
def test_every_good_body_is_read_as_the_standard_library_reads_it(
    body: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    """Whatever JSON a client writes, compact or indented, escaped or not, comes out as it went in."""
    compact = None if indent else (",", ":")
    text = json.dumps(body, indent=indent, separators=compact, ensure_ascii=ascii_only)
    assert parse(text.encode()) == body


TOKENS = st.sampled_from(
    [
        *("{", "}", "[", "]", ":", ",", " ", "\n", "\\", '"', "NaN", "1", "-0", "1.5e3", "1e999", "null", "true", "{}"),
        *('"a"', '"b"', '":"', '"\\u003a"', '"\\u0061"', '"\\ud800"', '"é"'),
        *('{"a":1}', '"a":1', '"a":":"', '"a":"\\u003a"'),
    ]
)
TOKEN_BODIES = st.lists(TOKENS, max_size=12).map("".join)
OBJECT_BODIES = st.lists(TOKENS, max_size=8).map(lambda tokens: "{" + ",".join(tokens) + "}")


@settings(deadline=None, database=None)
@given((TOKEN_BODIES | OBJECT_BODIES).map(str.encode) | st.binary(max_size=12))
def test_bad_bodies_are_those_that_a_strict_reader_refuses(body: bytes) -> None:
    """Any bytes at all are either read as a second strict reader does, or refused as it does."""
    try:
        expected = read_slowly(body)
    except ValueError:
        refuse(body)
    else:
        assert parse(body) == expected
