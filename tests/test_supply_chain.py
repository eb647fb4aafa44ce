"""S61: what is installed is little, pinned by hash, and runs no code of its own accord."""

import re
import tomllib
import zipfile
from pathlib import Path

import flit_core.buildapi
import pytest

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_requirement_is_pinned_by_hash(lock: Path) -> None:
    """Each line of a lock names one version and at least one sha256, and nothing says where to fetch it from."""
    text = lock.read_text()
    assert "://" not in text
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[\w.\[\]-]+==[\w.]+", block), block[:80]
        assert "--hash=sha256:" in block, block[:80]


def test_the_runtime_is_at_most_twenty_packages_each_with_its_reason() -> None:
    """The lock of a plain installation is short, and each direct dependency says in a line why it is there."""
    names = re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / "runtime.txt").read_text(), re.MULTILINE)
    assert len(names) <= 19
    text = (ROOT / "pyproject.toml").read_text()
    for requirement in tomllib.loads(text)["project"]["dependencies"]:
        line = next(line for line in text.splitlines() if requirement in line)
        assert len(line.partition("#")[2].strip()) > 10, requirement


def test_the_wheel_holds_the_package_and_no_code_that_runs_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A built wheel has the data it needs, no .pth file, no script beside the one command, and imports no tests."""
    monkeypatch.chdir(ROOT)
    wheel = tmp_path / flit_core.buildapi.build_wheel(str(tmp_path))
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.endswith(".pth")]
    assert not [name for name in names if not name.startswith(("tollhouse/", "tollhouse-"))]
    for needed in (
        "catalog/models.json",
        "catalog/hosts.toml",
        "docs/quickstart.md",
        "engines/tiny/tiny.gguf",
        "py.typed",
    ):
        assert f"tollhouse/{needed}" in names
    assert not [name for name in names if "__pycache__" in name]
    entry = next(name for name in names if name.endswith("entry_points.txt"))
    assert zipfile.ZipFile(wheel).read(entry).decode().split() == ["[console_scripts]", "tollhouse=tollhouse.cli:main"]
