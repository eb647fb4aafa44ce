"""Loads llama.cpp (`xllamacpp`, the extra ``[local]``) when a local model is wanted, and says clearly why it cannot be.

`engines.local` calls it, in a thread. Nothing else imports the extra, so Tollhouse runs without it.
"""

import platform
from importlib import import_module
from pathlib import Path
from types import ModuleType

INSTALL = 'pip install "tollhouse[local]"'
CPU_INFO = Path("/proc/cpuinfo")

# The wheel's x86-64 code uses these without asking; on an older processor it would end the whole process with SIGILL.
_NEEDED = frozenset({"avx2", "fma", "f16c", "bmi2"})


class LocalEngineError(Exception):
    """A local model cannot be served. The message is for the operator: what is wrong, and what to do."""


def load(module: str = "xllamacpp", *, cpu_info: Path = CPU_INFO, machine: str | None = None) -> ModuleType:
    """The engine's module. Raises `LocalEngineError`."""
    if missing := missing_abilities(cpu_info, machine or platform.machine()):
        raise LocalEngineError(f"Local models need a processor with {', '.join(missing)}; this one has not.")
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise LocalEngineError(f"The local engine is installed but lacks a part: {error}") from error
        raise LocalEngineError(f"Local models need the engine, which is not installed. Run: {INSTALL}") from error
    except ImportError as error:
        raise LocalEngineError(f"The local engine is installed but does not load: {error}") from error


def missing_abilities(cpu_info: Path, machine: str) -> list[str]:
    """What an x86-64 processor lacks for the engine; empty on other machines and where the system does not tell."""
    if machine.lower() not in {"x86_64", "amd64"}:
        return []
    try:
        lines = cpu_info.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), None)
    return [] if flags is None else sorted(_NEEDED.difference(flags))
