"""What mypyc asks of the modules it compiles, as rules. See docs/adr/0009."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

import tollhouse

ROOT = Path(__file__).parents[2]
LISTED = (ROOT / "scripts" / "hotpath" / "modules.txt").read_text().split()
WAITS = (ast.Await, ast.Yield, ast.YieldFrom, ast.AsyncWith, ast.AsyncFor)


def classes(path: str) -> Iterator[ast.ClassDef]:
    """The classes of a file."""
    return (node for node in ast.walk(ast.parse((ROOT / "src" / path).read_text())) if isinstance(node, ast.ClassDef))


def test_the_list_is_of_files_that_exist() -> None:
    """Each module is named once, in order, and is there."""
    assert sorted(set(LISTED)) == LISTED
    assert all((ROOT / "src" / path).is_file() for path in LISTED)


@pytest.mark.parametrize("path", LISTED)
def test_a_compiled_class_has_its_options_from_a_base(path: str) -> None:
    """Options of a class statement, which mypyc leaves out, are said by a base of `types/values.py` too."""
    for node in classes(path):
        bases = {ast.unparse(base).partition("[")[0] for base in node.bases}
        said = {keyword.arg for keyword in node.keywords}
        assert said <= ({"frozen"} if "Value" in bases else {"total"}), f"{node.name}: take Value"


@pytest.mark.parametrize("path", LISTED)
def test_a_compiled_module_asks_no_protocol_at_run_time(path: str) -> None:
    """`runtime_checkable` fails in a compiled module."""
    assert "runtime_checkable" not in (ROOT / "src" / path).read_text()


@pytest.mark.parametrize("path", LISTED)
def test_a_compiled_coroutine_does_not_wait_while_it_handles_an_error(path: str) -> None:
    """What is being handled while it waits would seem to be handled by every other task."""
    for node in ast.walk(ast.parse((ROOT / "src" / path).read_text())):
        handlers = [*node.handlers, *node.finalbody] if isinstance(node, ast.Try) else []
        waits = [each for handler in handlers for each in ast.walk(handler) if isinstance(each, WAITS)]
        assert not waits, f"line {waits[0].lineno}"


def test_no_interpreted_class_is_made_of_a_compiled_one() -> None:
    """A subclass of a compiled class is compiled too: Python refuses the other."""
    compiled = {path.removesuffix(".py").replace("/", ".") for path in LISTED}
    for module in pkgutil.walk_packages(tollhouse.__path__, "tollhouse."):
        if module.name in compiled or module.name.endswith("__main__"):
            continue
        for found in vars(importlib.import_module(module.name)).values():
            if not inspect.isclass(found) or found.__module__ != module.name:
                continue
            above = [base for base in found.__mro__[1:] if base.__module__ in compiled]
            native = [
                base for base in above if not issubclass(base, Struct) and not getattr(base, "_is_protocol", False)
            ]
            assert not native, f"{module.name}: {found.__name__}"
