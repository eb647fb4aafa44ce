"""The process that is killed: a real gateway over a data folder that outlives it."""

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.crash.upstream import INPUT_USD, MODEL, OUTPUT_USD
from tests.fakes.door import QUIET

SECRET = "whsec_crash_rig"
_ENVIRON = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
_ROOT = Path(__file__).parents[2]
_STARTING_S = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running process. ``starting_s`` is from its start to its first word, recovery and all."""

    process: asyncio.subprocess.Process
    url: str
    admin_url: str
    starting_s: float

    async def died(self, within_s: float) -> bool:
        """Waits for its end. False when it is still alive then."""
        try:
            async with asyncio.timeout(within_s):
                await self.process.wait()
        except TimeoutError:
            return False
        return True

    async def kill(self) -> None:
        """SIGKILL, from outside."""
        self.process.kill()
        await self.process.wait()


class Home:
    """The data folder and its configuration."""

    def __init__(self, folder: Path, upstream_port: int) -> None:
        self.folder = folder
        self.database = folder / "data" / "tollhouse.db"
        self.file = folder / "tollhouse.toml"
        self.file.write_text(
            f'[server]\nport = 0\n[billing]\nstripe_webhook_secret = "{SECRET}"\n'
            f'[models]\n{MODEL} = "host/{MODEL}"\n'
            f'[providers.host]\nbase_url = "http://127.0.0.1:{upstream_port}/v1"\n'
            f'[providers.host.models."{MODEL}"]\n'
            f"input_usd_per_1m = {INPUT_USD}\noutput_usd_per_1m = {OUTPUT_USD}\n{QUIET}"
        )
        self.file.chmod(0o600)

    @property
    def admin_key(self) -> str:
        """The key of the admin listener."""
        return (self.folder / "data" / "admin.key").read_text().strip()

    def last_words(self) -> str:
        """The end of the log."""
        return (self.folder / "log.txt").read_text()[-2000:]

    async def start(self, point: str = "none", passes: int = 0) -> Server | None:
        """Starts a gateway that dies at a point; None when it does so before it says anything."""
        arguments = ["up", "--json", "--config", str(self.file), "--data", str(self.folder / "data")]
        began = time.monotonic()
        with (self.folder / "log.txt").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.crash.launcher", point, str(passes), *arguments),
                cwd=_ROOT,
                env={**_ENVIRON, "PYTHONPATH": f"{_ROOT}:{_ROOT / 'src'}"},
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert process.stdout is not None
        async with asyncio.timeout(_STARTING_S):
            line = await process.stdout.readline()
        if not line:
            await process.wait()
            return None
        said = json.loads(line)
        return Server(process, said["url"], said["admin_url"], time.monotonic() - began)
