"""Which endpoint a path names. Matching is on the raw bytes of the path: nothing is decoded, so there is one spelling.

A client may leave out ``/v1``, double a slash, or end with one (`base_url` set with or without a trailing slash): each
is the same route. Anything else is a 404 that says what to try.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

from tollhouse.errors import MethodNotAllowed, RouteNotFound
from tollhouse.web.exchange import OPENAI_ERRORS, ErrorForm, Exchange

Handler = Callable[[Exchange], Awaitable[None]]
Access = Literal["key", "public", "admin", "signature"]
_SLASHES: Final = re.compile(rb"/{2,}")


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. ``path`` is a template as documentation shows it; a last segment in braces takes the rest, one
    further in (``/keys/{id}/rotate``) takes a single segment.

    ``access`` declares who may call: a test fails for a route that does not say.
    """

    method: str
    path: str
    handler: Handler
    access: Access
    errors: ErrorForm = OPENAI_ERRORS
    """How its faults are written."""


class RouteTable:
    """The routes of one listener."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self.routes = routes
        self._exact: dict[bytes, dict[str, Route]] = {}
        self._patterns: list[tuple[bytes, bytes, dict[str, Route]]] = []
        for route in routes:
            self._add(route)
        self._patterns.sort(key=lambda pattern: not pattern[1])  # a template that takes the rest is the last resort

    def _add(self, route: Route) -> None:
        path = route.path.encode()
        prefix, brace, inner = path.partition(b"{")
        if not brace:
            for spelling in {path, path.removeprefix(b"/v1")} - {b""}:
                self._exact.setdefault(spelling, {})[route.method] = route
            return
        suffix = inner.partition(b"}")[2]
        if b"{" in suffix:
            raise ValueError(f"{route.path} has two parameters; a template has one.")
        for *known, methods in self._patterns:
            if known == [prefix, suffix]:
                methods[route.method] = route
                return
        self._patterns.append((prefix, suffix, {route.method: route}))

    def find(self, method: str, path: bytes) -> tuple[Route, bytes]:
        """The route, and what its braces stand for. Raises `RouteNotFound`, `MethodNotAllowed`."""
        methods = self._exact.get(path)
        rest = b""
        if methods is None:
            methods, rest = self._find_spelling(path)
        route = methods.get(method) or (methods.get("GET") if method == "HEAD" else None)
        if route is None:
            allowed = ", ".join(sorted(methods))
            raise MethodNotAllowed(f"This URL takes {allowed}, not {method}.", headers={"allow": allowed})
        return route, rest

    def methods(self, path: bytes) -> bool:
        """Whether any route has this path: what a preflight asks."""
        try:
            self._find_spelling(path)
        except RouteNotFound:
            return False
        return True

    def _find_spelling(self, path: bytes) -> tuple[dict[str, Route], bytes]:
        plain = _SLASHES.sub(b"/", path)
        plain = plain.rstrip(b"/") or b"/"
        methods = self._exact.get(plain)
        if methods is not None:
            return methods, b""
        for prefix, suffix, candidates in self._patterns:
            for start in (prefix, prefix.removeprefix(b"/v1")):
                inner = _between(plain, start, suffix)
                if inner:
                    return candidates, inner
        shown = plain[:200].decode("ascii", "replace")
        raise RouteNotFound(f"Unknown URL: {shown}. The API is under /v1, as in POST /v1/chat/completions.")


def _between(path: bytes, prefix: bytes, suffix: bytes) -> bytes:
    """What stands for the braces of a template: all that is left, or one segment when more follows. Else nothing."""
    if len(path) < len(prefix) + len(suffix) or not path.startswith(prefix) or not path.endswith(suffix):
        return b""
    inner = path[len(prefix) : len(path) - len(suffix)]
    return b"" if suffix and b"/" in inner else inner
