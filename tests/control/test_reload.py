"""The reloader by itself: when it looks, what it refuses, and what it reports."""

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from tests.fakes.door import CATALOGUE
from tollhouse.config import ConfigInvalid, Problem, Settings
from tollhouse.control.reload import Reloader
from tollhouse.snapshot import Live, Snapshot, build
from tollhouse.telemetry.log import Log
from tollhouse.telemetry.metrics import Metrics

Make = Callable[[Settings, Snapshot], Awaitable[Snapshot]]


async def rebuilt(settings: Settings, previous: Snapshot) -> Snapshot:
    """A snapshot without hosts."""
    return build(settings, CATALOGUE, (), previous=previous)


class Bench:
    """A reloader of one file whose text is the name of an alias, or of a fault."""

    def __init__(self, file: Path, make: Make = rebuilt) -> None:
        self.file = file
        self.reads = 0
        self.live = Live(build(self.read(), CATALOGUE, ()))
        self.reads = 0
        self.log = BytesIO()
        self.lines = Log(sink=self.log)
        self.metrics = Metrics()
        self.reloader = Reloader(self.live, self.read, make, self.lines, self.metrics)

    def read(self) -> Settings:
        """The settings that the file stands for."""
        self.reads += 1
        text = self.file.read_text() if self.file.exists() else "gone"
        if text == "broken":
            raise ConfigInvalid([Problem("a.b", "is wrong", "mend it"), Problem("c", "too")])
        return replace(Settings(path=self.file), aliases={text: ("tollhouse/sim",)})

    async def follow(self, looks: int = 2) -> None:
        """So many looks at the file; a change counts when two in a row agree, lest half a file is read."""
        for _ in range(looks):
            await self.reloader.follow()

    @property
    def aliases(self) -> list[str]:
        """What is in force."""
        return list(self.live.snapshot.settings.aliases)

    @property
    def said(self) -> str:
        """The log."""
        self.lines.flush()
        return self.log.getvalue().decode()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A reloader whose file says ``one``."""
    file = tmp_path / "t.toml"
    file.write_text("one")
    return Bench(file)


async def test_an_unchanged_file_is_not_read(bench: Bench) -> None:
    """Following costs one look at the file; it is read when it has changed, and once."""
    await bench.follow(5)
    assert bench.reads == 0
    bench.file.write_text("two!")
    await bench.follow(5)
    assert (bench.reads, bench.aliases) == (1, ["two!"])
    assert "config_reloaded" in bench.said


async def test_a_file_replaced_by_one_of_the_same_size_is_noticed(bench: Bench) -> None:
    """An editor that writes aside and renames makes another file, whatever its size and time."""
    stat = bench.file.stat()
    aside = bench.file.with_name("aside")
    aside.write_text("six")
    os.utime(aside, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    aside.rename(bench.file)
    await bench.follow()
    assert bench.aliases == ["six"]


async def test_a_file_that_is_being_written_is_left_alone(bench: Bench) -> None:
    """For as long as every look finds it different nothing is read; when it rests, all of it is."""
    for number in range(5):
        bench.file.write_text("half" * (number + 1))
        await bench.follow(1)
    assert bench.reads == 0
    await bench.follow(1)
    assert bench.aliases == ["half" * 5]


async def test_a_file_that_is_gone_for_a_moment_changes_nothing(bench: Bench) -> None:
    """Between an editor's delete and its write the settings in force stay, without a word; what is written is read."""
    bench.file.unlink()
    await bench.follow(1)
    bench.file.write_text("back")
    await bench.follow()
    assert bench.aliases == ["back"]
    assert "config_invalid" not in bench.said


async def test_a_file_that_stays_away_is_reported_once(bench: Bench) -> None:
    """The settings in force stay in force, the report says that their file is gone, and its return is followed."""
    bench.file.unlink()
    await bench.follow(5)
    assert (bench.reads, bench.aliases) == (0, ["one"])
    assert bench.said.count("config_invalid") == 1
    assert "gone" in bench.reloader.report()["last_reload"]["problems"][0]
    bench.file.write_text("back")
    await bench.follow()
    assert bench.aliases == ["back"]


async def test_a_broken_file_is_reported_once_with_every_problem(bench: Bench) -> None:
    """The snapshot stays the very same; the problems are in the log, the report and the metric, and not repeated."""
    before = bench.live.snapshot
    bench.file.write_text("broken")
    await bench.follow(5)
    assert bench.live.snapshot is before
    assert bench.reads == 1
    assert bench.said.count("config_invalid") == 1
    assert "a.b: is wrong -> mend it | c: too" in bench.said
    last = bench.reloader.report()["last_reload"]
    assert last["result"] == "invalid"
    assert last["problems"] == ["a.b: is wrong -> mend it", "c: too"]
    assert bench.metrics.counts["tollhouse_config_reloads", "invalid"] == 1
    bench.file.write_text("good")
    await bench.follow()
    assert (bench.aliases, bench.reloader.report()["last_reload"]["problems"]) == (["good"], [])
    assert bench.metrics.counts["tollhouse_config_reloads", "ok"] == 1


@pytest.mark.parametrize("error", [FileNotFoundError("ca.pem"), ssl.SSLError("no certificate"), ValueError("a port")])
async def test_settings_that_cannot_be_built_change_nothing(tmp_path: Path, error: Exception) -> None:
    """A file that the settings name and that is missing or damaged is a refusal like any other."""

    async def fail(settings: Settings, previous: Snapshot) -> Snapshot:
        del settings, previous
        await asyncio.sleep(0)
        raise error

    file = tmp_path / "t.toml"
    file.write_text("one")
    bench = Bench(file, fail)
    bench.file.write_text("two")
    await bench.reloader.reload()
    assert bench.aliases == ["one"]
    (problem,) = bench.reloader.report()["last_reload"]["problems"]
    assert type(error).__name__ in problem


async def test_two_reloads_at_once_follow_each_other(tmp_path: Path) -> None:
    """The second builds upon the first, so that no pool is carried over from a snapshot that was replaced already."""
    seen: list[Snapshot] = []

    async def slow(settings: Settings, previous: Snapshot) -> Snapshot:
        seen.append(previous)
        await asyncio.sleep(0.02)
        return build(settings, CATALOGUE, (), previous=previous)

    file = tmp_path / "t.toml"
    file.write_text("one")
    bench = Bench(file, slow)
    first = bench.live.snapshot
    await asyncio.gather(bench.reloader.reload(), bench.reloader.reload())
    assert seen[0] is first
    assert seen[1] is not first
    assert bench.live.snapshot is not seen[1]


async def test_a_gateway_without_a_file_reloads_on_demand_alone() -> None:
    """Without a file there is nothing to follow; an explicit reload reads the environment again."""
    live = Live(build(Settings(), CATALOGUE, ()))
    reads: list[Settings] = []

    def read() -> Settings:
        reads.append(Settings())
        return reads[-1]

    reloader = Reloader(live, read, rebuilt, Log(sink=BytesIO()), Metrics())
    await reloader.follow()
    assert not reads
    await reloader.reload()
    assert live.snapshot.settings is reads[0]
    assert reloader.report()["file"] is None
