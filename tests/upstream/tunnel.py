"""A forward proxy that relays CONNECT tunnels, or refuses them as told."""

import asyncio
from types import TracebackType
from typing import Self


class TunnelProxy:
    """Listens on loopback. ``reply`` is what it answers to CONNECT; with a 200 it relays bytes both ways."""

    def __init__(self, reply: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> None:
        self.reply = reply
        self.heads: list[bytes] = []
        self.relayed = bytearray()
        """Everything that clients sent through tunnels."""
        self.open = 0
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            writer.write(self.reply)
            if not self.reply.startswith(b"HTTP/1.1 200"):
                await reader.read()
                return
            host, _, port = head.split(b" ")[1].decode().rpartition(":")
            onward = await asyncio.open_connection(host, int(port))
            await asyncio.gather(self._copy(reader, onward[1], count=True), self._copy(onward[0], writer))
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()
            self.open -= 1

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, count: bool = False) -> None:
        try:
            while data := await reader.read(65536):
                if count:
                    self.relayed += data
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()
