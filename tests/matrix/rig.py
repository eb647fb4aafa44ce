"""A gateway with every fake host behind it, for the tests of this package; and what one exchange through it looks like.

A test module has one: ``rig`` is made once for all of its tests, which share one event loop.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from tests.fakes.door import Answer, Door, opened
from tests.matrix.clients.every import CLIENTS
from tests.matrix.upstreams.every import HOSTS
from tests.matrix.upstreams.server import Host
from tests.matrix.words import Asked, Heard

CONFIG = '[billing]\nunpriced = "free"\n[timeouts]\nfirst_byte_s = 5.0\nidle_s = 5.0\n'


@dataclass(frozen=True)
class Rig:
    """The gateway and the hosts."""

    door: Door
    hosts: dict[str, Host]

    async def ask(self, client: str, model: str, asked: Asked, *, stream: bool, **headers: str) -> Answer:
        """One request as the client sends it."""
        path, body = CLIENTS[client].write(asked, model, stream=stream)
        return await self.door.post(body, path, **headers)

    async def chat(self, client: str, model: str, asked: Asked, *, stream: bool) -> Heard:
        """What the client hears. The answer has to be one."""
        answer = await self.ask(client, model, asked, stream=stream)
        assert answer.status == 200, (answer.body, [host.refused for host in self.hosts.values() if host.refused])
        reader = CLIENTS[client]
        return reader.read_stream(answer) if stream else reader.read_whole(answer)


def model_at(host: Host, place: str = "at") -> str:
    """The name by which a client asks for a host's model."""
    return f"{place}-{host.name}/{host.model}"


def table(host: Host, name: str) -> str:
    """A host's table in the configuration."""
    thinks = f'[providers.{name}.models."{host.model}"]\nreasoning = true\ntools = true\nstructured_output = true\n'
    return f'[providers.{name}]\nbase_url = "{host.base_url}"\n{host.settings}{thinks}'


@asynccontextmanager
async def rigged(more: str = "", *, places: tuple[str, ...] = ("at",)) -> AsyncIterator[Rig]:
    """A gateway before every host. ``more`` is added to its configuration. Each host has a name for each of ``places``:
    what one of them is thought of does not touch the others.
    """
    async with AsyncExitStack() as stack:
        hosts = {name: await stack.enter_async_context(HOSTS[name]()) for name in HOSTS}
        # "signature values are compatible across platforms (Claude APIs, Amazon Bedrock, and Vertex AI)":
        # https://platform.claude.com/docs/en/build-with-claude/extended-thinking#thinking-block-signatures
        hosts["bedrock"].issued = hosts["anthropic"].issued
        tables = "".join([table(host, f"{place}-{name}") for name, host in hosts.items() for place in places])
        door = await stack.enter_async_context(opened(CONFIG + tables + more))
        yield Rig(door, hosts)
