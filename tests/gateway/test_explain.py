"""POST /v1/route/explain, GET /admin/health and the metrics of routing: what they say is what routing does."""

from typing import Any

from tests.fakes.chaos import ChaosUpstream, Send
from tests.fakes.door import Door, opened
from tests.fakes.openai_wire import completion, failure
from tests.gateway.kit import ASK, hosts


async def explained(door: Door, **more: Any) -> dict[str, Any]:
    """The page for the usual request."""
    answer = await door.post({**ASK, "model": "both", **more}, "/v1/route/explain")
    assert answer.status == 200, answer.body
    page = answer.json
    assert isinstance(page, dict)
    return page


async def admin(door: Door, path: str) -> Any:
    """What the operator sees."""
    listener = Door(door.app, door.admin_port, door.admin_port, "admin-secret", door.log, door.config_file)
    return (await listener.get(path)).json


async def test_the_page_names_the_targets_in_order_and_sends_nothing() -> None:
    """What the request would do, without a request."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up, up)) as door:
        page = await explained(door)
        assert [target["target"] for target in page["targets"]] == ["up0/m", "up1/m"]
        assert (page["model"], page["error"], page["policy"]["strategy"]) == ("both", None, "priority")
        assert not up.requests
        assert door.idle


async def test_the_page_and_the_request_agree_when_a_circuit_is_open() -> None:
    """After enough failures of the first target the page says so, and the next request goes to the second."""
    async with ChaosUpstream([Send(failure(500))]) as bad, ChaosUpstream([Send(completion())]) as good:
        async with opened(hosts(bad, good, more="[routing]\nbreaker_failures = 2\nbreaker_open_s = 60\n")) as door:
            for _ in range(2):
                assert (await door.post({**ASK, "model": "both"})).status == 200
            page = await explained(door)
            assert [target["target"] for target in page["targets"]] == ["up1/m"]
            codes = {row["target"]: row["code"] for row in page["candidates"]}
            assert codes["up0/m"] == "circuit_open"
            answer = await door.post({**ASK, "model": "both"})
            assert answer.headers["x-tollhouse-target"] == "up1/m"
            assert "x-tollhouse-attempts" not in answer.headers
            assert len(bad.requests) == 2
            state = await admin(door, "/admin/health")
            assert {row["target"]: row["state"] for row in state["targets"]} == {"up0/m": "open", "up1/m": "closed"}
            metrics = (await door.get("/metrics", authorization="Bearer admin-secret")).body.decode()
            assert 'tollhouse_targets{host="up0",state="open"} 1.0' in metrics
            assert "tollhouse_retries_total 2.0" in metrics


async def test_a_key_with_a_list_of_models_sees_only_those() -> None:
    """Neither the page nor the request goes where the key may not."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up, up)) as door:
        office = door.app.parts.books.office
        fields: dict[str, Any] = {"name": "k", "models": ["up1/m"]}
        made = await office.act("ada", lambda desk: desk.create_key("org_default", fields))
        door.key = str(made.text.reveal())
        page = await explained(door)
        assert {row["target"] for row in page["candidates"]} == {"up1/m"}
        answer = await door.post({**ASK, "model": "both"})
        assert (answer.status, answer.headers["x-tollhouse-target"]) == (200, "up1/m")


async def test_the_page_refuses_what_the_request_would_be_refused_for() -> None:
    """A model that nobody knows, a body that is wrong, a caller without a key."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        assert (await door.post({**ASK, "model": "nope"}, "/v1/route/explain")).status == 404
        assert (await door.post({"model": "both"}, "/v1/route/explain")).status == 400
        assert (await door.post({**ASK, "model": "both"}, "/v1/route/explain", authorization="")).status == 401
