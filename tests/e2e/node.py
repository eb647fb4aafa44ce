"""Runs JavaScript with the packages that `scripts/test` installs into ``.node``."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / ".node" / "node_modules"
SCRIPTS = ROOT / "tests" / "node"


def run_node(folder: Path, script: str, environ: dict[str, str], *, within_s: float = 60.0) -> str:
    """Runs a module's text in ``folder``, where packages resolve as in any project; its standard output."""
    assert PACKAGES.is_dir(), "scripts/test installs the packages of tests/node"
    link = folder / "node_modules"
    if not link.exists():
        link.symlink_to(PACKAGES)
    file = folder / "script.mjs"
    file.write_text(script)
    done = subprocess.run(  # noqa: S603 - our own script
        ["node", str(file)],  # noqa: S607 - the machine's own
        env=environ,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
