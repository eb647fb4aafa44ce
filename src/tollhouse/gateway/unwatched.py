"""Stands for a watch where a policy looks at nothing: every method lets pass what it is given. See `gateway.watch`."""

from typing import Any

from tollhouse.dialects.client import NO_RESULTS, Counted, Writer
from tollhouse.gateway.legs import Note
from tollhouse.ledger.holds import Hold
from tollhouse.types.calls import ChatCall
from tollhouse.types.ledger import AttemptRecord


class Unwatched:
    """See `Watch`."""

    __slots__ = ()

    changes = cut = withheld = False
    admits = True
    records: tuple[AttemptRecord, ...] = ()
    results = NO_RESULTS

    def read_at_once(self, call: ChatCall) -> ChatCall | None:
        """Nothing is read."""
        return call

    async def read(self, call: ChatCall) -> ChatCall:
        """Nothing is read."""
        return call

    async def admit(self, hold: Hold) -> None:
        """Everybody is let in."""

    def hear_at_once(self, reply: dict[str, Any], *, native: bool) -> dict[str, Any] | None:
        """Nothing is heard."""
        del native
        return reply

    async def hear_reply(self, reply: dict[str, Any], *, native: bool) -> dict[str, Any]:
        """Nothing is heard."""
        del native
        return reply

    def noting(self, note: Note | None, *, native: bool) -> Note | None:
        """Nothing is added."""
        del native
        return note

    def marking(self, note: Note | None) -> Note | None:
        """Nothing is told."""
        return note

    async def end(self) -> None:
        """Nothing is left."""

    def counted(self, writer: Writer) -> Counted:
        """The stream itself."""
        return writer

    def notes(self, others: dict[str, Any]) -> dict[str, Any]:
        """These."""
        return others

    def write_down(self, hold: Hold) -> None:
        """There is nothing to write."""

    def reports(self) -> dict[str, Any]:
        """They are in the answer still."""
        return {"choices": []}

    def close(self) -> None:
        """Nothing runs."""


UNWATCHED = Unwatched()
