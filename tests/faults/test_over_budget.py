"""A12: whoever calls, and whatever for, a key over its budget is told 402 before any host is asked.

Every route of the gateway that can cost money is found in its own table, so that one that is added is tried too.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream, Send
from tests.fakes.door import Answer, Door, opened
from tests.fakes.openai_wire import completion
from tests.faults.kit import ASK, judged, priced
from tests.gateway.test_relay import FORM_FIELDS, FORM_TYPE, JSON_BODIES, form

LITTLE = {"limit_usd": "0.000001", "period": "day", "zone": "Europe/Berlin"}
FREE_ROUTES = {"/v1/quote", "/v1/route/explain", "/v1/messages/count_tokens"}
"""POST routes of a key that spend nothing by design."""
BODIES: dict[str, dict[str, Any]] = {
    **JSON_BODIES,
    "responses": {"input": "hi"},
    "chat/completions": {"messages": ASK["messages"]},
    "messages": {"messages": ASK["messages"], "max_tokens": 100},
}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
GEMINI_PATHS = {
    "/v1beta/models/{model}": "/v1beta/models/both:generateContent",
    "/v1beta1/{model}": "/v1beta1/publishers/google/models/both:generateContent",
    "/v1/projects/{model}": "/v1/projects/p/locations/l/publishers/google/models/both:generateContent",
    "/v1/models/{model}": "/v1/models/both:generateContent",
}

Maker = Callable[[Door], Awaitable[str]]


async def make_key(door: Door, *, bound: str, parent: str, prepaid: bool = False) -> str:
    """A key below an organisation, a team or a user, of which one node has next to nothing left; the key's text."""
    office = door.app.parts.books.office
    billing = "prepaid" if prepaid else "postpaid"

    def fields(node: str, **more: object) -> dict[str, object]:
        return {"name": node, **({"budget": LITTLE} if node == bound else {}), **more}

    above = (await office.act("ada", lambda desk: desk.create_org(fields("org", billing=billing)))).node.id
    if parent in {"team", "user"}:
        above = (await office.act("ada", lambda desk: desk.create_team(above, fields("team")))).node.id
    if parent == "user":
        above = (await office.act("ada", lambda desk: desk.create_user(above, fields("user")))).node.id
    made = await office.act("ada", lambda desk: desk.create_key(above, fields("key")))
    return str(made.text.reveal())


IDENTITIES: dict[str, Maker] = {
    "key of an organisation without credit": lambda door: make_key(door, bound="", parent="org", prepaid=True),
    "key of a team without credit": lambda door: make_key(door, bound="", parent="team", prepaid=True),
    "key of a user without credit": lambda door: make_key(door, bound="", parent="user", prepaid=True),
    "key with a budget": lambda door: make_key(door, bound="key", parent="org"),
    "key of a user, with a budget": lambda door: make_key(door, bound="key", parent="user"),
    "key of a user with a budget": lambda door: make_key(door, bound="user", parent="user"),
    "key of a team with a budget": lambda door: make_key(door, bound="team", parent="team"),
    "key of a user in a team with a budget": lambda door: make_key(door, bound="team", parent="user"),
    "key of an organisation with a budget": lambda door: make_key(door, bound="org", parent="org"),
    "key of a user in an organisation with a budget": lambda door: make_key(door, bound="org", parent="user"),
}


def spending_routes(door: Door) -> list[str]:
    """The path of each route that a key may POST to and that can cost money."""
    paths = [route.path for route in door.app.routes if route.method == "POST" and route.access == "key"]
    return sorted(set(paths) - FREE_ROUTES)


async def ask(door: Door, path: str, **headers: str) -> Answer:
    """A good request to a route. A route that is new here fails: it has no body yet."""
    if path in GEMINI_PATHS:
        return await door.post(GEMINI, GEMINI_PATHS[path], **headers)
    kind = path.removeprefix("/v1/")
    if kind in FORM_FIELDS:
        body = form({**FORM_FIELDS[kind], "model": b"both"})
        return await door.post(body, path, content_type=FORM_TYPE, **headers)
    return await door.post({**BODIES[kind], "model": "both"}, path, **headers)


@pytest.mark.parametrize("identity", IDENTITIES)
async def test_a12_over_budget_is_402_on_every_route_and_no_host_is_asked(identity: str) -> None:
    """For each route, each place of the key in the tree and each way of showing it; streamed, named or plain."""
    async with ChaosUpstream([Send(completion())]) as up, opened(priced(up, up)) as door:
        key = await IDENTITIES[identity](door)
        shown: list[dict[str, str]] = [
            {"authorization": f"Bearer {key}"},
            {"authorization": "", "x_api_key": key},
            {"authorization": f"Bearer {key}", "idempotency_key": "one"},
        ]
        routes = spending_routes(door)
        assert len(routes) == len(BODIES) + len(FORM_FIELDS) + len(GEMINI_PATHS)
        for path in routes:
            for headers in shown:
                answer = await ask(door, path, **headers)
                code = "insufficient_balance" if "without credit" in identity else "budget_exceeded"
                assert answer.status == 402, f"{path} {headers.keys()} {answer.body!r}"
                assert path in GEMINI_PATHS or path == "/v1/messages" or answer.error["code"] == code
        streamed = await door.post({**ASK, "stream": True}, authorization=f"Bearer {key}")
        assert streamed.status == 402
        assert (up.visits, up.requests) == ([], [])
        assert await judged(door) == []


async def test_a12_the_same_requests_are_served_to_who_can_pay() -> None:
    """None of those requests is refused for anything else: without a bound each reaches the host, once."""
    async with ChaosUpstream([Send(completion())]) as up, opened(priced(up)) as door:
        door.key = await make_key(door, bound="", parent="user")
        for number, path in enumerate(spending_routes(door), start=1):
            answer = await ask(door, path)
            assert answer.status == 200, f"{path} {answer.body!r}"
            assert len(up.requests) == number, f"{path} {answer.body!r}"
