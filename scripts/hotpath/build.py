"""Compiles the hot path with mypyc and puts it into a wheel; `scripts/compile` runs it in an environment of its own.

What is compiled is what `modules.txt` names: the modules that every request runs through. They stay beside their
machine code in the wheel, for tracebacks and for readers; Python prefers the machine code. Nothing else differs.
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
MODULES = HERE / "modules.txt"
_compile = CCompiler.compile


def modules() -> list[str]:
    """The paths of what is compiled, from `src` on."""
    lines = (line.partition("#")[0].strip() for line in MODULES.read_text().splitlines())
    return [line for line in lines if line]


def copy_sources(tree: Path) -> None:
    """Makes ``tree`` hold the sources as they are now; a file that did not change keeps its time, and is not rebuilt."""
    source = ROOT / "src" / "tollhouse"
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    for name in sorted(wanted):
        old, new = source / name, tree / "tollhouse" / name
        if not new.exists() or new.read_bytes() != old.read_bytes():
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(old, new)
    for path in (tree / "tollhouse").rglob("*.py"):
        if path.relative_to(tree / "tollhouse") not in wanted:
            path.unlink()


def compile_in(tree: Path, level: str) -> None:
    """Puts the machine code of `modules` beside them in ``tree``."""
    os.chdir(tree)
    os.environ["MYPYPATH"] = str(tree)
    for stale in tree.rglob("*.so"):
        stale.unlink()
    options = ["--strict", "--ignore-missing-imports", f"--config-file={ROOT / 'pyproject.toml'}"]
    extensions = mypycify([*options, *modules()], opt_level=level, debug_level="0", multi_file=True)
    CCompiler.compile = compile_together
    setup(name="tollhouse", script_args=["--quiet", "build_ext", "--inplace"], ext_modules=extensions)


def compile_together(compiler: CCompiler, sources: list[str], **options: Any) -> list[str]:
    """`CCompiler.compile`, of as many sources at once as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return sum(pool.map(lambda source: _compile(compiler, [source], **options), sources), [])


def pack(tree: Path, out: Path) -> Path:
    """The wheel: the pure one with the machine code of ``tree`` added, named for this Python and this platform."""
    work = tree.parent / "wheel"
    shutil.rmtree(work, ignore_errors=True)
    run(
        "pip",
        "--disable-pip-version-check",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(work),
        str(ROOT),
    )
    (pure,) = work.glob("*.whl")
    run("wheel", "unpack", str(pure), "-d", str(work))
    (unpacked,) = (path for path in work.iterdir() if path.is_dir())
    for machine_code in tree.rglob("*.so"):
        where = machine_code.relative_to(tree)
        if where.parts[0] != "build":
            shutil.copy2(machine_code, unpacked / where)
    (told,) = unpacked.glob("*.dist-info/WHEEL")
    told.write_text(told.read_text().replace("Root-Is-Purelib: true", "Root-Is-Purelib: false"))
    run("wheel", "pack", str(unpacked), "-d", str(work))
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    platform = get_platform().replace("-", "_").replace(".", "_")
    run("wheel", "tags", "--remove", "--python-tag", tag, "--abi-tag", tag, "--platform-tag", platform, str(pure))
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
    parser.add_argument("--tree", type=Path, help="compile in this folder and leave it at that")
    parser.add_argument("--level", default="2", choices="0123", help="how hard the C compiler tries")
    asked = parser.parse_args()
    tree = (asked.tree or ROOT / ".cache" / "compile" / "tree").resolve()
    if not asked.tree:
        shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True, exist_ok=True)
    copy_sources(tree)
    compile_in(tree, asked.level)
    if not asked.tree:
        print(pack(tree, asked.out.resolve()))


if __name__ == "__main__":
    main()
