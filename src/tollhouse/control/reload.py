"""Hot reload: a changed configuration file becomes the next snapshot, or one log line that says why not.

The file is looked at once a second (its inode, size and times), and on SIGHUP. Whatever is wrong with it, the settings
in force stay in force for every request; requests that run keep the snapshot they started with.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tollhouse.config import ConfigInvalid, Settings
from tollhouse.snapshot import Live, Snapshot, retire
from tollhouse.telemetry.log import Log
from tollhouse.telemetry.metrics import Metrics

Mark = tuple[int, int, int]


class Reloader:
    """Builds and swaps snapshots. ``read`` gives the settings or raises `ConfigInvalid`; ``make`` their snapshot."""

    def __init__(
        self,
        live: Live,
        read: Callable[[], Settings],
        make: Callable[[Settings, Snapshot], Awaitable[Snapshot]],
        log: Log,
        metrics: Metrics,
    ) -> None:
        self._live = live
        self._read = read
        self._make = make
        self._log = log
        self._metrics = metrics
        self._mark = self._seen = self._look()
        self._last: dict[str, Any] = {"at": int(time.time()), "result": "ok", "problems": []}
        self._busy = asyncio.Lock()

    def _look(self) -> Mark | None:
        path: Path | None = self._live.snapshot.settings.path
        try:
            stat = path.stat() if path is not None else None
        except OSError:
            return None
        return (stat.st_ino, stat.st_size, stat.st_mtime_ns) if stat is not None else None

    async def follow(self) -> None:
        """Reloads when the file has changed and two looks in a row agree, so that a file is not read while it is being
        written. Called once a second.
        """
        mark, before = self._look(), self._seen
        self._seen = mark
        if mark == self._mark or mark != before:
            return
        if mark is None:
            self._mark = None
            self._refuse(["the configuration file is gone; the settings in force stay in force"])
            return
        await self.reload()

    async def reload(self) -> None:
        """Reads the settings again. A fault in them is logged, counted and kept for `report`; nothing else changes."""
        async with self._busy:
            self._mark = self._look()
            old = self._live.snapshot
            try:
                settings = await asyncio.get_running_loop().run_in_executor(None, self._read)
                new = await self._make(settings, old)
            except ConfigInvalid as invalid:
                self._refuse([str(problem) for problem in invalid.problems])
                return
            except (OSError, ValueError) as error:  # a file that settings name is gone or not what they say
                self._refuse([f"{type(error).__name__}: {error}"])
                return
            self._live.swap(new)
            retire(old, new)
            self._note("ok", [])
            self._log.event("info", "config_reloaded", hosts=len(new.names.offers))

    def _refuse(self, problems: list[str]) -> None:
        self._note("invalid", problems)
        self._log.event("error", "config_invalid", problems=" | ".join(problems))

    def _note(self, result: str, problems: list[str]) -> None:
        self._last = {"at": int(time.time()), "result": result, "problems": problems}
        self._metrics.add("tollhouse_config_reloads", result)

    def report(self) -> dict[str, Any]:
        """What is in force, without any secret."""
        snapshot = self._live.snapshot
        path = snapshot.settings.path
        return {
            "file": str(path) if path is not None else None,
            "last_reload": self._last,
            "hosts": [offer.host.name for offer in snapshot.names.offers],
            "aliases": {name: list(targets) for name, targets in snapshot.settings.aliases.items()},
            "unresolved": [list(pair) for pair in snapshot.names.unresolved()],
        }
