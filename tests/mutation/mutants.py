"""Small faults, put into a module's syntax tree one at a time: what a good test suite must notice.

Used by `tests.mutation.runner`. The faults are those that people make: a bound off by one, a condition turned round or
one of its parts forgotten, a sum with the wrong sign, a step, an argument or a handler left out; in SQL too. What
cannot change behaviour is left alone: annotations, decorators, docstrings, the texts of messages.

A mutant is known by file, scope, and change, so that it keeps its name when lines move.
"""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_MOST_TEXT = 150
_NOT_CODE = {"annotation", "returns", "decorator_list", "bases"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault. ``number`` is its place among all of its file's; ``lines`` are those of its statement, up to it."""

    path: str
    number: int
    scope: str
    lines: tuple[int, int]
    line: int
    change: str

    @property
    def name(self) -> str:
        """What it is known by, wherever its line has moved."""
        return f"{self.path} {self.scope}: {self.change}"

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.scope}: {self.change}"


@dataclass(frozen=True, slots=True)
class _Edit:
    """A replacement of one node in the tree that it was made of."""

    holder: ast.AST
    field: str
    index: int | None
    old: ast.AST
    new: ast.AST
    scope: str
    first_line: int

    def apply(self) -> None:
        if self.index is None:
            setattr(self.holder, self.field, self.new)
        else:
            getattr(self.holder, self.field)[self.index] = self.new

    @property
    def change(self) -> str:
        if (
            isinstance(self.old, ast.Constant)
            and isinstance(self.new, ast.Constant)
            and isinstance(self.old.value, str)
        ):
            return _sql_change(self.old.value, str(self.new.value))
        if isinstance(self.old, ast.ExceptHandler) and isinstance(self.new, ast.ExceptHandler):
            return f"{_handler(self.old)}  =>  {_handler(self.new)}"
        if isinstance(self.old, ast.Call) and isinstance(self.new, ast.Call):
            for left_out in [one for one in self.old.keywords if one not in self.new.keywords]:
                return f"{ast.unparse(self.old.func)}(... {_text(left_out)})  =>  (left out)"
        old = _text(self.old)
        return f"{old}  =>  {'(dropped)' if isinstance(self.new, ast.Pass) else _text(self.new)}"


def mutants_of(source: str, path: str) -> list[Mutant]:
    """Every mutant of a module that is still Python."""
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for number, edit in enumerate(_edits(ast.parse(source))):
        seen[edit.scope, edit.change] += 1
        again = seen[edit.scope, edit.change]
        line, last = edit.old.lineno, edit.old.end_lineno  # type: ignore[attr-defined]  # expressions and statements
        change = edit.change if again == 1 else f"{edit.change} ({again})"
        found.append(Mutant(path, number, edit.scope, (edit.first_line, last), line, change))
    return found


def mutate(source: str, number: int) -> ast.Module:
    """The tree of a module with one of its mutants in it."""
    tree = ast.parse(source)
    for place, edit in enumerate(_edits(tree)):
        if place == number:
            edit.apply()
            return ast.fix_missing_locations(tree)
    raise IndexError(number)


def _edits(tree: ast.Module) -> Iterator[_Edit]:
    yield from _below(tree, "", 1)


def _below(holder: ast.AST, scope: str, first_line: int) -> Iterator[_Edit]:
    """The edits of everything in a node, in the order of the source."""
    for field, value in ast.iter_fields(holder):
        if field in _NOT_CODE or (field == "keywords" and isinstance(holder, ast.ClassDef)):
            continue
        places = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, node in places:
            if not isinstance(node, ast.AST):
                continue
            line = node.lineno if isinstance(node, ast.stmt | ast.ExceptHandler) else first_line
            for new in _faults(node, holder, field, scope):
                yield _Edit(holder, field, index, node, ast.copy_location(new, node), scope, line)
            named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            inner = f"{scope}.{node.name}".lstrip(".") if named else scope  # type: ignore[attr-defined]
            yield from _below(node, inner, line)


def _faults(node: ast.AST, holder: ast.AST, field: str, scope: str) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and not scope:
        return  # a union of types
    make = _MAKERS.get(type(node))
    if make is not None:
        yield from make(node)
    negated = isinstance(node, ast.expr) and not isinstance(node, ast.Compare | ast.UnaryOp | ast.Constant)
    if negated and _decides(holder, field):
        yield ast.UnaryOp(ast.Not(), node)  # type: ignore[arg-type]  # an expression


def _decides(holder: ast.AST, field: str) -> bool:
    """Whether the program goes one way or the other by this expression."""
    if field == "test":
        return isinstance(holder, ast.If | ast.While | ast.IfExp)
    return field == "ifs"


# --- the faults of each kind of node -----------------------------------------------------------------------------

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.LShift: ast.RShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_TWINS = {"min": "max", "max": "min", "any": "all", "all": "any"}
_WRAPPERS = {"abs", "reversed", "sorted"}


def _compare(node: ast.Compare) -> Iterator[ast.AST]:
    for place, op in enumerate(node.ops):
        for other in _COMPARISONS[type(op)]:
            yield ast.Compare(node.left, [*node.ops[:place], other(), *node.ops[place + 1 :]], node.comparators)


def _arithmetic(node: ast.BinOp) -> Iterator[ast.AST]:
    if type(node.op) in _OPERATORS:
        yield ast.BinOp(node.left, _OPERATORS[type(node.op)](), node.right)


def _in_place(node: ast.AugAssign) -> Iterator[ast.AST]:
    if type(node.op) in _OPERATORS:
        yield ast.AugAssign(node.target, _OPERATORS[type(node.op)](), node.value)
    yield ast.Pass()


def _boolean(node: ast.BoolOp) -> Iterator[ast.AST]:
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    for place in range(len(node.values)):
        left = [*node.values[:place], *node.values[place + 1 :]]
        yield left[0] if len(left) == 1 else ast.BoolOp(node.op, left)


def _unary(node: ast.UnaryOp) -> Iterator[ast.AST]:
    if isinstance(node.op, ast.Not | ast.USub):
        yield node.operand


def _constant(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        yield ast.Constant(value - 1)
    elif isinstance(value, float):
        yield ast.Constant(value + 1.0)
    elif isinstance(value, str) and _SQL.search(value):
        yield from (ast.Constant(text) for text in _sql_faults(value))


def _call(node: ast.Call) -> Iterator[ast.AST]:
    for place, keyword in enumerate(node.keywords):
        if keyword.arg is not None:
            yield ast.Call(node.func, node.args, [*node.keywords[:place], *node.keywords[place + 1 :]])
    if isinstance(node.func, ast.Name) and node.func.id in _TWINS:
        yield ast.Call(ast.Name(_TWINS[node.func.id], ast.Load()), node.args, node.keywords)
    if isinstance(node.func, ast.Name) and node.func.id in _WRAPPERS:
        yield node.args[0]


def _slice(node: ast.Slice) -> Iterator[ast.AST]:
    if node.lower is not None:
        yield ast.Slice(None, node.upper, node.step)
    if node.upper is not None:
        yield ast.Slice(node.lower, None, node.step)


def _return(node: ast.Return) -> Iterator[ast.AST]:
    if node.value is None:
        yield ast.Pass()
    elif not (isinstance(node.value, ast.Constant) and node.value.value is None):
        yield ast.Return(ast.Constant(None))


def _statement(node: ast.Expr) -> Iterator[ast.AST]:
    if isinstance(node.value, ast.Call | ast.Await | ast.Yield | ast.YieldFrom):
        yield ast.Pass()


def _assignment(node: ast.Assign | ast.AnnAssign) -> Iterator[ast.AST]:
    """Leaving out a name is an error at once; leaving out a change of something that lasts is not."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if node.value is not None and any(isinstance(target, ast.Attribute | ast.Subscript) for target in targets):
        yield ast.Pass()


def _step(node: ast.AST) -> Iterator[ast.AST]:
    assert node
    yield ast.Pass()


def _handler_faults(node: ast.ExceptHandler) -> Iterator[ast.AST]:
    if not (len(node.body) == 1 and isinstance(node.body[0], ast.Raise) and node.body[0].exc is None):
        yield ast.ExceptHandler(node.type, node.name, [ast.Raise()])
    if isinstance(node.type, ast.Tuple):
        kinds = node.type.elts
        for place in range(len(kinds)):
            fewer = ast.Tuple([*kinds[:place], *kinds[place + 1 :]], ast.Load())
            yield ast.ExceptHandler(fewer, node.name, node.body)


_MAKERS: dict[type[ast.AST], Callable[..., Iterator[ast.AST]]] = {
    ast.Compare: _compare,
    ast.BinOp: _arithmetic,
    ast.AugAssign: _in_place,
    ast.BoolOp: _boolean,
    ast.UnaryOp: _unary,
    ast.Constant: _constant,
    ast.Call: _call,
    ast.Slice: _slice,
    ast.Return: _return,
    ast.Expr: _statement,
    ast.Assign: _assignment,
    ast.AnnAssign: _assignment,
    ast.Raise: _step,
    ast.Break: _step,
    ast.Continue: _step,
    ast.Delete: _step,
    ast.ExceptHandler: _handler_faults,
}

# --- SQL -----------------------------------------------------------------------------------------------------------

_SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|WHERE|ORDER BY|FROM)\b")
_TOKENS = re.compile(r">=|<=|<>|(?<= )[<>=+*/-](?= )|\bAND\b|\bOR\b(?! (?:IGNORE|REPLACE))|\bmax\(|\bmin\(|\bDESC\b")
_SQL_FAULTS = {
    ">=": (">", "<"),
    "<=": ("<", ">"),
    "<>": ("=",),
    "<": ("<=", ">="),
    ">": (">=", "<="),
    "=": ("<>",),
    "+": ("-",),
    "-": ("+",),
    "*": ("/",),
    "/": ("*",),
    "AND": ("OR",),
    "OR": ("AND",),
    "max(": ("min(",),
    "min(": ("max(",),
    "DESC": ("",),
}


def _sql_faults(sql: str) -> Iterator[str]:
    for token in _TOKENS.finditer(sql):
        before = sql[: token.start()]
        if token[0] == "=" and before.rfind("SET ") > max(before.rfind("WHERE "), before.rfind("ON (")):
            continue  # an assignment
        for other in _SQL_FAULTS[token[0]]:
            yield before + other + sql[token.end() :]


def _sql_change(old: str, new: str) -> str:
    """The words around the difference of two texts."""
    start = next(at for at, (one, other) in enumerate(zip(f"{old}\0", f"{new}\0", strict=False)) if one != other)
    end = next(at for at in range(len(old)) if at == len(new) - start or old[-1 - at] != new[-1 - at])
    low, high = max(0, start - 30), 20
    parts = (old[low : len(old) - end + high], new[low : len(new) - end + high])
    return "  =>  ".join(" ".join(part.split()) for part in parts)


def _handler(node: ast.ExceptHandler) -> str:
    kind = f"except {ast.unparse(node.type)}" if node.type is not None else "except"
    return f"{kind}: {_text(node.body[0])}"


def _text(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..."
