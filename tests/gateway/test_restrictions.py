"""A key that may use some models, at the doors of every dialect."""

from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream
from tests.fakes.door import opened
from tests.gateway.kit import ASK, hosts

MESSAGES: dict[str, Any] = {"max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
CONTENTS: dict[str, Any] = {"contents": [{"parts": [{"text": "hi"}]}]}


@pytest.mark.parametrize("model", ["both", "up0/m", "m"])
@pytest.mark.parametrize("allowed", [["up0/other"], ["up1/*"], ["o*", "n"]])
async def test_another_model_is_forbidden_in_every_dialect(model: str, allowed: list[str]) -> None:
    """The key is told that it may not, not that the request is wrong; nothing is sent."""
    async with ChaosUpstream() as up, opened(hosts(up)) as door:
        books = door.app.parts.books
        org = await books.office.act("ada", lambda desk: desk.create_org({"name": "Acme"}))
        key = await books.office.act("ada", lambda desk: desk.create_key(org.node.id, {"name": "k", "models": allowed}))
        door.key = key.text.reveal()
        path = model.replace("/", "%2F")
        for answer in (
            await door.post({**ASK, "model": model}),
            await door.post({**ASK, "model": model, "stream": True}),
            await door.post({**MESSAGES, "model": model}, "/v1/messages"),
            await door.post({**MESSAGES, "model": model}, "/v1/messages/count_tokens"),
            await door.post(CONTENTS, f"/v1beta/models/{path}:generateContent"),
            await door.post(CONTENTS, f"/v1beta/models/{path}:countTokens"),
        ):
            assert answer.status == 403, answer.body
            assert "may not use the model" in answer.json["error"]["message"]
        page = (await door.post({**ASK, "model": model}, "/v1/route/explain")).json
        assert (page["candidates"], page["targets"], page["error"]["code"]) == ([], [], "model_not_allowed")
        assert up.requests == []
        assert door.idle


async def test_a_list_of_the_clients_own_shows_no_target_that_the_key_may_not_use() -> None:
    """It makes the choice smaller, in the page that explains it too."""
    async with ChaosUpstream() as up, ChaosUpstream() as hidden, opened(hosts(up, hidden)) as door:
        books = door.app.parts.books
        org = await books.office.act("ada", lambda desk: desk.create_org({"name": "Acme"}))
        fields = {"name": "k", "models": ["up0/m"]}
        key = await books.office.act("ada", lambda desk: desk.create_key(org.node.id, fields))
        door.key = key.text.reveal()
        for wish in ("*", "up*/m", "UP0/*"):
            page = await door.post(ASK, "/v1/route/explain", x_tollhouse_allow=wish)
            assert [one["target"] for one in page.json["targets"]] == ["up0/m"]
            assert b"up1" not in page.body
        refused = await door.post(ASK, x_tollhouse_allow="up1/*")
        assert refused.status == 400
        assert hidden.requests == []
