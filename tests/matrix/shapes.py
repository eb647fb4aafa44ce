"""Checks JSON against a small table, as strictly as vendors do: unknown and missing members, types, the kinds of parts.

A shape is a type, a set of literals, a list of one shape, a tuple of alternatives, `Kinds`, or a dict of members, in
which ``name!`` has to be there. `check` raises `Wrong`.
"""

from dataclasses import dataclass
from typing import Any

ANY: Any = object


class Wrong(Exception):
    """What a vendor would refuse: where, and in its own words why."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


@dataclass(frozen=True)
class Kinds:
    """Objects told apart by one member, or, where it is empty, by which of their members there is."""

    member: str
    shapes: dict[str, Any]


def check(value: Any, shape: Any, path: str = "") -> None:
    """Raises `Wrong` where a value has not the shape."""
    if isinstance(shape, dict):
        _check_object(value, shape, path)
    elif isinstance(shape, list):
        demand(type(value) is list, path, "has to be an array")
        for index, item in enumerate(value):
            check(item, shape[0], f"{path}[{index}]")
    elif isinstance(shape, Kinds):
        _check_kind(value, shape, path)
    elif isinstance(shape, tuple):
        _check_any(value, shape, path)
    elif isinstance(shape, set | frozenset):
        demand(type(value) is str and value in shape, path, f"{value!r} is none of {sorted(map(str, shape))}")
    elif shape is not ANY:
        good = type(value) in (int, float) if shape is float else type(value) is shape
        demand(good, path, f"{value!r} is no {shape.__name__}")


def demand(condition: object, path: str, why: str) -> None:
    """Raises `Wrong` unless the condition holds."""
    if not condition:
        raise Wrong(path, why)


def _check_object(value: Any, shape: dict[str, Any], path: str) -> None:
    demand(type(value) is dict, path, "has to be an object")
    known = {name.removesuffix("!"): inner for name, inner in shape.items()}
    for name, held in value.items():
        demand(name in known, f"{path}.{name}", "is not known here")
        check(held, known[name], f"{path}.{name}")
    for name in shape:
        if name.endswith("!"):
            demand(name[:-1] in value, f"{path}.{name[:-1]}", "is missing")


def _check_kind(value: Any, shape: Kinds, path: str) -> None:
    demand(type(value) is dict, path, "has to be an object")
    if shape.member:
        kind = value.get(shape.member)
        demand(kind in shape.shapes, f"{path}.{shape.member}", f"{kind!r} is not known")
        check(value, {f"{shape.member}!": str, **shape.shapes[str(kind)]}, path)
        return
    found = [name for name in shape.shapes if name in value]
    demand(len(found) == 1, path, f"has to have one of {list(shape.shapes)}, and has {list(value)}")
    check(value, shape.shapes[found[0]], path)


def _check_any(value: Any, shapes: tuple[Any, ...], path: str) -> None:
    problems = []
    for shape in shapes:
        try:
            check(value, shape, path)
        except Wrong as wrong:
            problems.append(wrong)
        else:
            return
    raise max(problems, key=lambda wrong: len(wrong.path))
