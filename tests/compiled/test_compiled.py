"""The hot path as `scripts/compile` makes it: it compiles, it is what runs, and its tests hold of it too."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tollhouse import __version__

ROOT = Path(__file__).parents[2]
HELD = (
    *("tests/web/test_connection.py", "tests/web/test_exchange.py", "tests/web/test_repeats.py"),
    *("tests/upstream/test_connection.py", "tests/upstream/test_reply.py", "tests/upstream/test_pool.py"),
    *("tests/dialects/test_sse.py", "tests/dialects/test_replies.py", "tests/validate/test_guard.py"),
    *("tests/ledger/test_wallet.py", "tests/ledger/test_journal.py", "tests/ledger/test_resting.py"),
    *("tests/gateway/test_pipeline.py", "tests/gateway/test_limits.py", "tests/e2e/test_sdk_python.py"),
)
"""The tests that are run again, compiled. `scripts/test-compiled` runs all."""


def run(command: Sequence[str], tree: Path | None = None) -> str:
    """All that a program prints, which must exit with 0; ``tree`` is where it finds Tollhouse."""
    env = os.environ | ({"PYTHONPATH": f"{tree}{os.pathsep}{ROOT}"} if tree else {})
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources with machine code beside them; made in haste, for it is the translation that is tested."""
    folder = tmp_path_factory.mktemp("compiled")
    told = run([sys.executable, "scripts/hotpath/build.py", "--tree", str(folder), "--level", "0"])
    assert "Unsupported" not in told, "an attribute of a class would be missing: use ClassVar, or `__init__`"
    return folder


@pytest.mark.timeout(900)
def test_what_runs_is_machine_code(tree: Path) -> None:
    """Every module of the list is imported from its machine code."""
    names = [line.split(".")[0] for line in (ROOT / "scripts" / "hotpath" / "modules.txt").read_text().split()]
    modules = [name.replace("/", ".") for name in names]
    code = "import importlib, sys\nfor name in sys.argv[1:]: print(importlib.import_module(name).__file__)"
    found = run([sys.executable, "-c", code, *modules], tree).split()
    assert len(found) == len(modules)
    assert all(path.endswith((".so", ".pyd")) and path.startswith(str(tree)) for path in found)
    version = run([sys.executable, "-m", "tollhouse", "--version"], tree)
    assert version == f"tollhouse {__version__} (compiled)\n"


@pytest.mark.timeout(900)
def test_the_hot_path_keeps_its_promises_compiled(tree: Path) -> None:
    """The tests of sockets, streams, validation, money and the pipeline pass over machine code too."""
    run([sys.executable, "-m", "pytest", "-q", "--timeout", "120", *HELD], tree)
