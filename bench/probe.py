"""What the kernel says about a process: CPU time, memory, and which cores there are to pin to.

CPU is read from the process's own clock (``clock_getcpuclockid(3)``), in nanoseconds; /proc/PID/stat has 10 ms ticks.
"""

import os
import platform
import re
import time
from dataclasses import dataclass
from pathlib import Path

_CPUCLOCK_SCHED = 2
"""The clock id of another process is ``~pid << 3 | 2``: https://man7.org/linux/man-pages/man3/clock_getcpuclockid.3.html."""


def family(pid: int) -> list[int]:
    """The process and all its descendants that live now."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            parents.setdefault(_parent(entry), []).append(int(entry.name))
    found = [pid]
    for member in found:
        found.extend(parents.get(member, []))
    return found


def _parent(entry: Path) -> int:
    try:
        # The command name may hold spaces and brackets: the fields start after the last bracket.
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0  # It ended while we looked.


def cpu_s(pids: list[int]) -> float:
    """CPU seconds, user and system, that these processes have used since they started."""
    return sum(time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED) for pid in pids)


def waited_s(pids: list[int]) -> float:
    """Seconds that threads of these processes were ready to run while others had their core: the noise of a run.

    The second field of schedstat: https://docs.kernel.org/scheduler/sched-stats.html.
    """
    threads = [thread for pid in pids for thread in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((thread / "schedstat").read_text().split()[1]) for thread in threads) / 1e9


def rss_kib(pids: list[int]) -> int:
    """Resident memory of these processes in KiB; pages shared between them count once for each."""
    total = 0
    for pid in pids:
        match = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        total += int(match[1]) if match else 0
    return total


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where. With two cores the gateway has one to itself and everything else shares the other."""

    gateway: int
    upstream: int
    client: int


def cores() -> Cores:
    """Cores for this machine: the last one is the gateway's."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(gateway=usable[-1], upstream=usable[0], client=usable[1] if len(usable) > 2 else usable[0])


def machine() -> dict[str, str | int]:
    """The facts about this machine that a reader needs to judge the figures."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": int(memory[1]) // 1024 if memory else 0,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
