"""What can be seen of a gateway's process from outside: memory, descriptors, threads, metrics."""

import asyncio
import re
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.process import Gateway
from tests.fakes.door import read_answer

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? ([0-9.e+-]+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at one moment."""

    at_s: float
    rss_kib: int
    files: int
    threads: int


@dataclass
class Watch:
    """Samples of one process, taken by `run` until it is cancelled."""

    pid: int
    samples: list[Sample] = field(default_factory=list)

    def take(self) -> Sample:
        """One more sample."""
        folder = Path(f"/proc/{self.pid}")
        status = (folder / "status").read_text()
        rss_kib, threads = (
            int(re.findall(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[0]) for name in ("VmRSS", "Threads")
        )
        files = len(list((folder / "fd").iterdir()))
        self.samples.append(Sample(asyncio.get_running_loop().time(), rss_kib, files, threads))
        return self.samples[-1]

    async def run(self, every_s: float) -> None:
        """Takes them."""
        while True:
            self.take()
            await asyncio.sleep(every_s)

    def tenths(self) -> str:
        """The median memory of each tenth of the samples, in MiB."""
        size = max(1, len(self.samples) // 10)
        parts = [self.samples[start : start + size] for start in range(0, size * 10, size)]
        return " ".join(f"{statistics.median(one.rss_kib for one in part) / 1024:.1f}" for part in parts if part)

    def growth_kib(self, warm_up: float) -> float:
        """By how much memory grew after the first part of the samples: the slope of a line through the rest (the median
        slope of all pairs, which single peaks do not move), times its length.
        """
        rest = self.samples[int(len(self.samples) * warm_up) :]
        rest = rest[:: max(1, len(rest) // 200)]
        slopes = [
            (b.rss_kib - a.rss_kib) / (b.at_s - a.at_s) for index, a in enumerate(rest) for b in rest[index + 1 :]
        ]
        return statistics.median(slopes) * (rest[-1].at_s - rest[0].at_s)


@dataclass(frozen=True, slots=True)
class Metrics:
    """One reading of ``/metrics``."""

    samples: tuple[tuple[str, dict[str, str], float], ...]

    @classmethod
    async def read(cls, gateway: Gateway) -> "Metrics":
        """Asks the gateway."""
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"GET /metrics HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")
        text = (await read_answer(reader)).body.decode()
        writer.close()
        found = _SAMPLE.findall(text)
        return cls(tuple((name, dict(_LABEL.findall(labels)), float(value)) for name, labels, value in found))

    def total(self, name: str, **labels: str) -> int:
        """The sum of a metric over the series that have these labels."""
        chosen = [value for known, having, value in self.samples if known == name and labels.items() <= having.items()]
        return int(sum(chosen))

    def by(self, name: str, label: str, **labels: str) -> dict[str, int]:
        """The sums of a metric by the values of one label."""
        values = {having[label] for known, having, _ in self.samples if known == name and label in having}
        sums = {value: self.total(name, **{label: value}, **labels) for value in values}
        return {value: count for value, count in sums.items() if count}
