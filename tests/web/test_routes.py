"""Which endpoint a path names."""

import pytest

from tollhouse.errors import MethodNotAllowed, RouteNotFound
from tollhouse.web.exchange import Exchange
from tollhouse.web.routes import Route, RouteTable


async def nothing(exchange: Exchange) -> None:
    """A handler."""
    del exchange


def table(*paths: str) -> RouteTable:
    """The routes of ``METHOD /path`` texts, in this order."""
    return RouteTable(tuple(Route(*text.split(" "), nothing, "key") for text in paths))  # type: ignore[arg-type, call-arg]


KEYS = ("GET /keys/{id}", "PATCH /keys/{id}", "POST /keys/{id}/rotate", "POST /keys/{id}/revoke", "GET /keys")


@pytest.mark.parametrize("order", [KEYS, KEYS[::-1]])
@pytest.mark.parametrize(
    ("method", "path", "template", "rest"),
    [
        ("GET", b"/keys", "/keys", b""),
        ("GET", b"/keys/k1", "/keys/{id}", b"k1"),
        ("PATCH", b"/keys/k1/", "/keys/{id}", b"k1"),
        ("POST", b"/keys/k1/rotate", "/keys/{id}/rotate", b"k1"),
        ("POST", b"//keys//k1//rotate/", "/keys/{id}/rotate", b"k1"),
        ("POST", b"/keys/rotate/rotate", "/keys/{id}/rotate", b"rotate"),
        ("GET", b"/keys/rotate", "/keys/{id}", b"rotate"),
        ("GET", b"/keys/a/b/rotate", "/keys/{id}", b"a/b/rotate"),
        ("GET", b"/keys/a/xrotate", "/keys/{id}", b"a/xrotate"),
        ("GET", b"/keys/rotat", "/keys/{id}", b"rotat"),  # shorter than a template without its parameter
    ],
)
def test_a_parameter_inside_a_path_is_one_segment(
    order: tuple[str, ...], method: str, path: bytes, template: str, rest: bytes
) -> None:
    """``/keys/{id}/rotate`` takes a single segment and goes before ``/keys/{id}``, in whatever order they are given."""
    route, found = table(*order).find(method, path)
    assert (route.path, found) == (template, rest)


def test_a_method_is_judged_by_the_template_that_fits() -> None:
    """GET of an action is a 405 that names POST, not a 404 of an object called ``k1/rotate``."""
    with pytest.raises(MethodNotAllowed) as refused:
        table(*KEYS).find("GET", b"/keys/k1/rotate")
    assert refused.value.headers == {"allow": "POST"}


def test_the_rest_of_a_path_keeps_its_slashes() -> None:
    """A last parameter takes everything, as the names of models need it; with or without ``/v1``."""
    routes = table("GET /v1/models/{model}", "POST /v1/models/{model}/stop")
    for path in (b"/v1/models/a/b", b"/models/a/b"):
        assert routes.find("GET", path)[1] == b"a/b"
    for path in (b"/v1/models/a/stop", b"/models/a/stop"):
        route, rest = routes.find("POST", path)
        assert (route.path, rest) == ("/v1/models/{model}/stop", b"a")
    with pytest.raises(RouteNotFound):
        routes.find("GET", b"/v2/models/a")


def test_two_parameters_are_refused_when_the_table_is_made() -> None:
    """A template that could not be served is no route."""
    with pytest.raises(ValueError, match="two parameters"):
        table("GET /a/{b}/c/{d}")
