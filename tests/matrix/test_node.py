"""OpenAI's Node SDK before every host of another dialect: a tool call and its result, whole and streamed."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.node import SCRIPTS, run_node
from tests.e2e.process import ENVIRON
from tests.matrix.rig import Rig, model_at, rigged
from tests.matrix.scenarios import BOTH, FINE, PARIS
from tests.matrix.test_sdks import CALLING, SUN, check
from tests.matrix.upstreams.every import HOSTS
from tests.matrix.words import TOOLS

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig() -> AsyncIterator[Rig]:
    """The gateway."""
    async with rigged() as made:
        yield made


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", HOSTS)
async def test_a_tool_call_and_its_result(rig: Rig, name: str, streamed: bool, tmp_path: Path) -> None:
    """The SDK sees the call, gives its result back with the message as it got it, and reads the answer."""
    host = rig.hosts[name]
    host.says(CALLING, FINE)
    tools = [{"type": "function", "function": {"name": tool, "parameters": TOOLS[tool]}} for tool in BOTH]
    asking = {"MODEL": model_at(host), "TOOLS": tools, "RESULT": SUN, "STREAMED": streamed}
    environ = {
        **ENVIRON,
        "OPENAI_BASE_URL": f"http://127.0.0.1:{rig.door.port}/v1",
        "OPENAI_API_KEY": rig.door.key,
        "ASKING": json.dumps(asking),
    }
    said = json.loads(await asyncio.to_thread(run_node, tmp_path, (SCRIPTS / "tools.mjs").read_text(), environ))
    assert (said["reason"], said["given"], said["text"]) == ("tool_calls", PARIS.arguments, FINE.text)
    assert said["usage"]["completion_tokens"] == host.counts.output
    check(host)
