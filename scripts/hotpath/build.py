"""Compiles the hot path with mypyc and puts it into a wheel; `scripts/compile` runs it in an environment of its own.

What is compiled is what `modules.txt` names: the modules that a request runs through. They stay beside their machine
code in the wheel, for tracebacks and for readers; Python prefers the machine code. Nothing else differs.
"""

import argparse
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from sysconfig import get_platform
from typing import Any

from mypyc.build import mypycify
from setuptools import setup

from distutils.ccompiler import CCompiler  # isort: skip  # setuptools brings it

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MODULES = (HERE / "modules.txt").read_text().split()
"""The paths of what is compiled, from `src` on."""
_compile = CCompiler.compile


def compile_in(tree: Path, level: str) -> None:
    """Puts the machine code of `modules` beside them in ``tree``, a copy of the sources."""
    shutil.rmtree(tree / "tollhouse", ignore_errors=True)
    shutil.copytree(ROOT / "src" / "tollhouse", tree / "tollhouse", ignore=shutil.ignore_patterns("*.pyc"))
    for stale in tree.glob("*.so"):
        stale.unlink()
    os.chdir(tree)
    os.environ["MYPYPATH"] = str(tree)
    options = ["--strict", "--ignore-missing-imports", f"--config-file={ROOT / 'pyproject.toml'}"]
    extensions = mypycify([*options, *MODULES], opt_level=level, debug_level="0", multi_file=True)
    CCompiler.compile = compile_together
    setup(name="tollhouse", script_args=["--quiet", "build_ext", "--inplace"], ext_modules=extensions)


def compile_together(compiler: CCompiler, sources: list[str], **options: Any) -> list[str]:
    """`CCompiler.compile`, of as many sources at once as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = pool.map(lambda source: _compile(compiler, [source], **options), sources)
        return [name for names in made for name in names]


def pack(tree: Path, out: Path) -> Path:
    """The wheel: the pure one with the machine code of ``tree`` added, named for this Python and this platform."""
    work = tree.parent / "wheel"
    shutil.rmtree(work, ignore_errors=True)
    run("pip", "-q", "wheel", "--no-deps", "--no-build-isolation", "-w", str(work), str(ROOT))
    (pure,) = work.glob("*.whl")
    run("wheel", "unpack", str(pure), "-d", str(work))
    (unpacked,) = (path for path in work.iterdir() if path.is_dir())
    for machine_code in [*tree.glob("*.so"), *(tree / "tollhouse").rglob("*.so")]:
        shutil.copy2(machine_code, unpacked / machine_code.relative_to(tree))
    (told,) = unpacked.glob("*.dist-info/WHEEL")
    told.write_text(told.read_text().replace("Root-Is-Purelib: true", "Root-Is-Purelib: false"))
    run("wheel", "pack", str(unpacked), "-d", str(work))
    python, platform = f"cp{sys.version_info.major}{sys.version_info.minor}", get_platform().translate({45: 95, 46: 95})
    tags = ["--python-tag", python, "--abi-tag", python, "--platform-tag", platform]
    run("wheel", "tags", "--remove", *tags, str(pure))
    (made,) = work.glob("*.whl")
    out.mkdir(parents=True, exist_ok=True)
    return shutil.copy2(made, out)


def run(module: str, *words: str) -> None:
    """One of Python's own tools."""
    subprocess.run([sys.executable, "-m", module, *words], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/compile", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where the wheel is put (default: dist)")
    parser.add_argument("--tree", type=Path, help="only compile, in this folder, and make no wheel")
    parser.add_argument("--level", default="2", choices=list("0123"), help="how hard the C compiler tries")
    asked = parser.parse_args()
    tree = (asked.tree or ROOT / ".cache" / "compile" / "tree").resolve()
    tree.mkdir(parents=True, exist_ok=True)
    out = asked.out.resolve()
    compile_in(tree, asked.level)
    if not asked.tree:
        print(pack(tree, out))


if __name__ == "__main__":
    main()
