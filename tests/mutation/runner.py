"""Runs the tests against mutants: which of the small faults of `tests.mutation.mutants` does the suite notice?

Theory of operation
-------------------
The tree is copied first, so that nobody's editing disturbs a run of an hour, and the checkout is never written to. One
run of all the tests, under coverage with a context for each test, says which tests come by each line, and how long each
takes. Then each mutant is put into its module in memory, by a finder of modules, in a process of its own: a fork of
this one, which has imported pytest and its like already, and nothing of Tollhouse. There the tests that come by the
line run, quickest first, until one fails. A test that takes far longer than it should has failed too.

Tests run in ``/dev/shm`` where there is one: a thousand databases need no disk.
"""

import contextlib
import importlib
import importlib.machinery
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

import coverage
import hypothesis
import pytest

from tests.mutation.mutants import Mutant, mutate

KILLED, SURVIVED, UNREACHED, TIMED_OUT = "killed", "survived", "no test comes by", "killed (time)"
PRELOADED = ("apsw", "asyncio", "click", "hypothesis.stateful", "msgspec", "prometheus_client", "uvloop", "zoneinfo")
_OPTIONS = ("-q", "-x", "--no-header", "--tb=short", "-W", "ignore::pytest.PytestAssertRewriteWarning")
"""hypothesis, imported above, is a plugin whose own assertions need no rewriting."""
_MEMORY_BYTES = 4 << 30
_LEAST_S = 5.0
_PATIENCE = 5.0
"""A test may take this many times as long as without a mutant, and `_LEAST_S` more."""
_COPIED = ("src/tollhouse", "tests", "pyproject.toml")


class NotGreen(Exception):
    """The tests fail without any mutant."""


@dataclass
class Cover:
    """Which tests come by which line of which file, and how long each takes in seconds."""

    lines: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests that come by a mutant; for what runs when a module is imported, all that use the module, and for a
        module of nothing else simply all.
        """
        lines = self.lines.get(mutant.path, {})
        first, last = mutant.lines
        reached = [lines[line] for line in range(first, last + 1) if line in lines]
        found = {test for tests in reached for test in tests}
        if reached and not found:
            found = {test for tests in lines.values() for test in tests} or set(self.seconds)
        return sorted(found, key=lambda test: self.seconds[test])


@dataclass
class Verdict:
    """What became of one mutant."""

    mutant: Mutant
    outcome: str
    seconds: float = 0.0


@contextlib.contextmanager
def copied(root: Path) -> Iterator[Path]:
    """A copy of what the tests need, on a disk in memory where there is one; it is the working directory meanwhile."""
    memory = Path("/dev/shm")  # noqa: S108 - the name of a file system
    tempfile.tempdir = str(memory) if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copy = Path(folder)
        copy.chmod(0o755)  # some tests read as somebody else
        for name in _COPIED:
            if (root / name).is_dir():
                shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif (root / name).exists():
                shutil.copy(root / name, copy / name)
        tempfile.tempdir = str(copy)
        os.environ["TMPDIR"] = str(copy)
        sys.path[:0] = [str(copy / "src"), str(copy)]
        sys.modules.pop("tests", None)  # the copy's are to be found
        os.chdir(copy)
        yield copy


def preload() -> None:
    """Imports what every run needs, so that its process begins with it."""
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    hypothesis.settings.register_profile(
        "mutation",
        database=None,
        deadline=None,
        derandomize=True,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")


# --- the run that maps ---------------------------------------------------------------------------------------------


class _Mapper:
    """Gives each test a context of coverage, and takes its time."""

    def __init__(self, measure: coverage.Coverage) -> None:
        self._measure = measure
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """One test, with its fixtures."""
        self._measure.switch_context(item.nodeid)
        began = time.monotonic()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.monotonic() - began
            self._measure.switch_context("")


def map_tests(files: Sequence[str], tests: Sequence[str]) -> Cover:
    """Runs the tests without a mutant. Raises `NotGreen` where one fails."""
    answer = Path("cover.json").absolute()

    def run() -> int:
        measure = coverage.Coverage(data_file=None, include=[str(Path(file).absolute()) for file in files])
        mapper = _Mapper(measure)
        measure.start()
        code = pytest.main([*tests, *_OPTIONS], plugins=[mapper])
        measure.stop()
        data, lines = measure.get_data(), {}
        for file in files:
            found = data.contexts_by_lineno(str(Path(file).absolute()))
            lines[file] = {line: [test for test in tests if test] for line, tests in found.items()}
        answer.write_text(json.dumps([lines, mapper.seconds]))
        return int(code)

    child = _fork(run, output=None)
    _, status = os.waitpid(child, 0)
    if status:
        raise NotGreen(f"the tests fail without a mutant: {' '.join(tests)}")
    lines, seconds = json.loads(answer.read_text())
    return Cover({file: {int(line): found for line, found in by.items()} for file, by in lines.items()}, seconds)


# --- the runs with a mutant ----------------------------------------------------------------------------------------


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module with a mutant in it."""

    number = 0

    def get_code(self, fullname: str) -> CodeType:
        """The compiled mutant; nothing is read from or written to a cache."""
        source = Path(self.get_filename(fullname)).read_text()
        return compile(mutate(source, self.number), self.get_filename(fullname), "exec")


class _Finder(MetaPathFinder):
    """Finds the one module that is to be another."""

    def __init__(self, mutant: Mutant) -> None:
        self._file = Path(mutant.path).absolute()
        self._name = module_name(mutant.path)
        self._number = mutant.number

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        assert path is None or target is None
        if fullname != self._name:
            return None
        loader = _Loader(fullname, str(self._file))
        loader.number = self._number
        return spec_from_file_location(fullname, self._file, loader=loader)


class _Chooser:
    """Leaves of what was collected the tests that are wanted, in their order, and bounds the time of each: the alarm
    ends the process.
    """

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._seconds = seconds
        self._places = {test: place for place, test in enumerate(seconds)}
        signal.setitimer(signal.ITIMER_REAL, _LEAST_S)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """All of them where none is known: the mutant has changed their names."""
        wanted = [item for item in items if item.nodeid in self._places]
        items[:] = sorted(wanted, key=lambda item: self._places[item.nodeid]) or items

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        signal.setitimer(signal.ITIMER_REAL, _LEAST_S + _PATIENCE * self._seconds.get(nodeid, 0.0))


def module_name(path: str) -> str:
    """The dotted name of a file below ``src`` (or of one beside the tests)."""
    parts = Path(path).with_suffix("").parts
    return ".".join(parts[1:] if parts[0] == "src" else parts)


def _test_mutant(mutant: Mutant, seconds: Mapping[str, float]) -> int:
    """Runs tests, whose usual times are given, until one fails. Returns pytest's exit code.

    The file of the quickest tests goes first: with luck the others need not even be imported.
    """
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    sys.meta_path.insert(0, _Finder(mutant))
    files: defaultdict[str, list[str]] = defaultdict(list)
    for test in seconds:
        files[test.partition("::")[0]].append(test)
    first, *others = sorted(files, key=lambda file: sum(seconds[test] for test in files[file]) / len(files[file]))
    code = pytest.main([first, *_OPTIONS], plugins=[_Chooser(seconds)])
    return int(code or (others and pytest.main([*others, *_OPTIONS], plugins=[_Chooser(seconds)])) or 0)


def _fork(work: Callable[[], int], output: Path | None) -> int:
    """Does work in a process group of its own. Its exit code is what the work returns."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setsid()
        if output is not None:
            with output.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
        code = work()
    except Exception:  # noqa: BLE001 - nobody is above this process to print it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def run_mutants(mutants: Iterable[Mutant], cover: Cover, most: int = 1) -> Iterator[Verdict]:
    """The verdict on each, as they come; ``most`` run at a time."""
    running: dict[int, tuple[Mutant, float]] = {}
    for mutant in mutants:
        tests = cover.tests(mutant)
        if not tests:
            yield Verdict(mutant, UNREACHED)
            continue
        if len(running) >= most:
            yield _await_one(running)
        running[_start(mutant, {test: cover.seconds[test] for test in tests})] = mutant, time.monotonic()
    while running:
        yield _await_one(running)


def _start(mutant: Mutant, seconds: Mapping[str, float]) -> int:
    return _fork(lambda: _test_mutant(mutant, seconds), Path("mutant.log"))


def _await_one(running: dict[int, tuple[Mutant, float]]) -> Verdict:
    child, status = os.wait()
    mutant, began = running.pop(child)
    is_late = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
    outcome = TIMED_OUT if is_late else KILLED if status else SURVIVED
    return Verdict(mutant, outcome, time.monotonic() - began)


def tally(verdicts: Iterable[Verdict]) -> Mapping[str, tuple[int, int]]:
    """By file: how many mutants were killed, and how many there were."""
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for verdict in verdicts:
        counts[verdict.mutant.path][0] += verdict.outcome in {KILLED, TIMED_OUT}
        counts[verdict.mutant.path][1] += 1
    return {path: (killed, total) for path, (killed, total) in sorted(counts.items())}
