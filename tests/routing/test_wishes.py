"""What clients may say about routing, and that what is no wish is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.errors import InvalidRequest
from tollhouse.routing.wishes import NONE, Wishes, has_wishes, read_wishes, without_wishes

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def test_nothing_said() -> None:
    """A request without wishes has none, and its body is the same object."""
    body = {"model": "m"}
    assert read_wishes(body, {}) is NONE
    assert without_wishes(body) is body
    assert not has_wishes(body, {b"x-tollhouse-fidelity": b"strict"})


@pytest.mark.parametrize("name", ["x-tollhouse-prefer", "x-tollhouse-allow", "x-tollhouse-deny"])
def test_whether_anything_is_said(name: str) -> None:
    """Every member and every header that is a wish is seen as one, even an empty one."""
    assert has_wishes({}, {name.encode(): b""})
    assert has_wishes({"auto": None}, {})
    assert has_wishes({"prefer": None}, {})


def test_everything_said() -> None:
    """Members of the body are read, prices become pico-USD per token, and none is sent on."""
    auto = {"prefer": "price", "allow": ["openai/*"], "deny": ["*nano*"], "max_price": {"input": 2.5, "output": "10"}}
    body = {"model": "m", "auto": auto, "prefer": "speed"}
    assert read_wishes(body, {}) == Wishes("price", ("openai/*",), ("*nano*",), 2_500_000, 10_000_000)
    assert without_wishes(body) == {"model": "m"}


def test_headers_go_first() -> None:
    """Headers replace what the body prefers and allows, and add to what it denies."""
    headers = {b"x-tollhouse-prefer": b"quality", b"x-tollhouse-allow": b"a/*, b/*", b"x-tollhouse-deny": b"c/*"}
    wishes = read_wishes({"auto": {"prefer": "price", "allow": ["z"], "deny": ["y"]}}, headers)
    assert wishes == Wishes("quality", ("a/*", "b/*"), ("c/*", "y"))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prefer": "cheap"}, "prefer"),
        ({"prefer": 1}, "prefer"),
        ({"auto": []}, "auto"),
        ({"auto": {"models": []}}, "auto"),
        ({"auto": {"allow": "openai/*"}}, "auto.allow"),
        ({"auto": {"deny": [""]}}, "auto.deny"),
        ({"auto": {"deny": ["x" * 129]}}, "auto.deny"),
        ({"auto": {"deny": ["x"] * 65}}, "auto.deny"),
        ({"auto": {"max_price": 3}}, "auto.max_price"),
        ({"auto": {"max_price": {"cache": 3}}}, "auto.max_price"),
        ({"auto": {"max_price": {"input": -1}}}, "auto.max_price"),
        ({"auto": {"max_price": {"input": float("nan")}}}, "auto.max_price"),
        ({"auto": {"max_price": {"input": True}}}, "auto.max_price"),
        ({"auto": {"max_price": {"input": "1e999999"}}}, "auto.max_price"),
    ],
)
def test_what_is_no_wish(body: dict[str, Any], param: str) -> None:
    """A wish that cannot be read is refused by its name."""
    with pytest.raises(InvalidRequest) as caught:
        read_wishes(body, {})
    assert caught.value.param == param


@given(JSON, JSON, st.binary(max_size=40))
def test_hostile_wishes(auto: Any, prefer: Any, header: bytes) -> None:
    """Values of any kind are read or refused, never another exception."""
    try:
        wishes = read_wishes({"auto": auto, "prefer": prefer}, {b"x-tollhouse-allow": header})
    except InvalidRequest:
        return
    hash(wishes)


def test_a_pattern_has_few_stars() -> None:
    """Each costs a search in every name."""
    assert read_wishes({"auto": {"allow": ["*a*b*c*"]}}, {}).allow == ("*a*b*c*",)
    with pytest.raises(InvalidRequest):
        read_wishes({"auto": {"allow": ["*a*b*c*d*"]}}, {})
