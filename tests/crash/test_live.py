"""The checkers beside a gateway that works: verify, export and backup under load, as commands (F114)."""

import asyncio
import csv
import io
import json
import sys
from pathlib import Path

from tests.crash.rig import Rig
from tests.crash.server import Home
from tests.crash.upstream import PaidHost


async def command(*arguments: object) -> tuple[int, str]:
    """A command's exit code and standard output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tollhouse", "ledger", *map(str, arguments)), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_a_working_ledger_is_verified_exported_and_copied(tmp_path: Path) -> None:
    """While answers, streams and top-ups go on: every look finds every promise kept, every copy too, and an export has
    entries that sum to zero; the clients notice nothing.
    """
    async with PaidHost() as host:
        rig = Rig(Home(tmp_path, host.port), 3)
        await rig.open("none", 0)
        try:
            seen = await _look(rig, tmp_path)
            problems = await rig.close()
        finally:
            await rig.stop()
    assert problems == []
    assert seen == sorted(seen)
    assert seen[-1] > seen[0] > 0
    assert rig.truth.acknowledged > 50


async def _look(rig: Rig, folder: Path) -> list[int]:
    """How many entries each command has seen, in their order."""
    finished, data, seen = asyncio.Event(), folder / "data", []
    load, server = rig.running
    working = asyncio.create_task(load.run(server, finished))
    await asyncio.sleep(0.5)
    for number in range(3):
        code, said = await command("verify", "--json", "--max-age", 60, "--data", data)
        assert code == 0, said
        seen.append(json.loads(said)["counts"]["entry"])
        code, said = await command("export", "--data", data)
        rows = list(csv.DictReader(io.StringIO(said)))
        assert (code, sum(int(row["amount_nusd"]) for row in rows)) == (0, 0)
        seen.append(len(rows))
        copy = folder / f"copy{number}.db"
        assert (await command("backup", copy, "--data", data))[0] == 0
        code, said = await command("verify", "--json", "--integrity", "--file", copy)
        assert code == 0, said
        seen.append(json.loads(said)["counts"]["entry"])
    finished.set()
    await working
    return seen
