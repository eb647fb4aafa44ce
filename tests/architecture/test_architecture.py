"""The shape of the code, as rules: layers, cycles, purity, sizes. See docs/adr/0001 and the architecture page."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "tollhouse"
FILES = sorted(PACKAGE.rglob("*.py"))
TEST_FILES = sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")])

LAYERS = (
    {"__main__"},
    {"cli"},
    {"app", "reload"},
    {"books"},
    {"control"},
    {"gateway"},
    {"ledger", "tenancy", "snapshot", "discovery"},
    {"routing"},
    {"engines"},
    {"web", "upstream", "stores"},
    {"providers"},
    {"dialects"},
    {"safety"},
    {"validate"},
    {"config", "loopback"},
    {"settings"},
    {"catalog"},
    {"types"},
    {"errors", "telemetry", "client"},
)
PURE = (
    *("types", "dialects", "providers", "validate", "catalog", "routing", "safety"),
    *("gateway/router.py", "gateway/meter.py"),
    *("gateway/bids.py", "gateway/needs.py", "gateway/relay_meter.py", "ledger/prices.py", "ledger/pricebook.py"),
)
IMPURE_MODULES = {"asyncio", "socket", "time", "random", "os", "secrets", "threading", "subprocess", "datetime", "ssl"}
CATCH_ALLS = {"web/front.py", "control/jobs.py", "stores/batches.py"}
"""The listener's, the job loop's, and the ledger writer's: it runs what others give it, and outlives their errors."""
LOADERS = {"providers/__init__.py", "engines/loader.py"}
SECOND_TIER = "safety/embedding"
"""How the files of the second tier of safety begin, which alone may have what the extra ``[local]`` brings."""
SECOND_TIER_LOADER = "safety/embedding_loader.py"


def relative(path: Path) -> str:
    """A file's path inside the package."""
    return path.relative_to(PACKAGE).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(), str(path))


def module_name(path: Path) -> str:
    """The dotted name of a file."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {module_name(path) for path in FILES}


def imports(path: Path) -> Iterator[str]:
    """The modules of this package that a file imports, at any depth of nesting."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("tollhouse"))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tollhouse"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in NAMES else node.module


def layer(name: str) -> int | None:
    """The layer of a dotted name, 0 the highest; None for the package itself."""
    parts = name.split(".")
    if len(parts) == 1:
        return None
    for index, members in enumerate(LAYERS):
        if parts[1] in members:
            return index
    raise AssertionError(f"{name} is in no layer: add its folder to LAYERS")


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_imports_point_downwards(path: Path) -> None:
    """A module imports from its own layer or a lower one, and never across from a neighbour of its layer."""
    own = layer(module_name(path))
    for name in imports(path):
        other = layer(name)
        if own is None or other is None:
            continue
        assert other >= own, f"{module_name(path)} imports {name}, which is above it"
        same_part = name.split(".")[1] == module_name(path).split(".")[1]
        lowest_shared = other == len(LAYERS) - 1 or {name.split(".")[1], module_name(path).split(".")[1]} <= NEIGHBOURS
        assert other > own or same_part or lowest_shared, f"{module_name(path)} imports its neighbour {name}"


NEIGHBOURS = {"ledger", "snapshot", "discovery"}


def test_there_is_no_import_cycle() -> None:
    """No module reaches itself through imports, those inside functions included."""
    graph = {module_name(path): set(imports(path)) for path in FILES}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name in done:
            return
        for other in sorted(graph.get(name, ())):
            visit(other, (*trail, name))
        done.add(name)

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.parametrize("path", [path for path in FILES if relative(path).startswith(PURE)], ids=relative)
def test_translation_is_pure(path: Path) -> None:
    """The pure zones hold no coroutine and import no clock, chance, environment or socket."""
    allowed = {"importlib", "pkgutil"} if relative(path) in LOADERS else set()
    seams = {id(inner) for node in ast.walk(tree(path)) if is_protocol(node) for inner in ast.walk(node)}
    for node in ast.walk(tree(path)):
        assert id(node) in seams or not isinstance(
            node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith
        )
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            assert name.split(".")[0] not in IMPURE_MODULES - allowed, f"{relative(path)} imports {name}"


def is_protocol(node: ast.AST) -> bool:
    """Whether a class only describes what others do."""
    return isinstance(node, ast.ClassDef) and any(
        isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases
    )


def is_second_tier(name: str) -> bool:
    """Whether a file of the package is part of the second tier, which is only loaded where a policy wants it."""
    return name.startswith(SECOND_TIER) and name != SECOND_TIER_LOADER


@pytest.mark.parametrize("path", [path for path in FILES if not is_second_tier(relative(path))], ids=relative)
def test_only_the_second_tier_needs_numpy(path: Path) -> None:
    """No other module imports numpy, nor the second tier, so a plain installation needs neither."""
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    assert "numpy" not in names
    tier = {module_name(other) for other in FILES if is_second_tier(relative(other))}
    assert tier.isdisjoint(imports(path))


@pytest.mark.parametrize("path", [*FILES, *TEST_FILES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_and_functions_are_small(path: Path) -> None:
    """A file is at most 400 lines, a function at most 70 lines, 6 parameters, 3 levels of nesting."""
    assert len(path.read_text().splitlines()) <= 400, "the file is over 400 lines"
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        assert lines <= 70, f"{node.name} has {lines} lines"
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len([argument for argument in arguments if argument.arg not in {"self", "cls"}])
        assert count <= 6, f"{node.name} has {count} parameters"
        assert nesting(node) <= 3, f"{node.name} nests {nesting(node)} deep"


def nesting(node: ast.AST) -> int:
    """How deep the blocks of a function are nested; ``elif`` does not count as deeper."""
    blocks = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.Try, ast.With, ast.AsyncWith, ast.Match)
    deepest = 0
    for name, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        for child in children:
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
                continue
            if isinstance(child, blocks):
                is_elif = name == "orelse" and isinstance(node, ast.If) and isinstance(child, ast.If)
                deepest = max(deepest, nesting(child) + (0 if is_elif else 1))
            elif isinstance(child, ast.AST):
                deepest = max(deepest, nesting(child))
    return deepest


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_habits(path: Path) -> None:
    """No import in a function, no ``global``, one reader of the environment, broad ``except`` at the catch-alls."""
    name = relative(path)
    for node in ast.walk(tree(path)):
        assert not isinstance(node, ast.Global), "global"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = [child for child in ast.walk(node) if isinstance(child, ast.Import | ast.ImportFrom)]
            assert not inner, f"{node.name} imports"
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}:
            owner = node.value
            is_os = isinstance(owner, ast.Name) and owner.id == "os"
            assert not is_os or name == "config.py", "the environment is read outside config"
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}
            )
            assert not broad or name in CATCH_ALLS, "a broad except"


def test_no_provider_is_named_in_a_branch() -> None:
    """Outside ``providers`` no code decides by a provider's name."""
    hosts = {
        "openai",
        "anthropic",
        "mistral",
        "groq",
        "deepseek",
        "gemini",
        "google",
        "azure",
        "bedrock",
        "cohere",
        "llamacpp",
    }
    for path in FILES:
        if relative(path).startswith(("providers/", "catalog/")):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Compare):
                sides = [side for side in [node.left, *node.comparators] if isinstance(side, ast.Constant)]
                assert not any(side.value in hosts for side in sides), f"{relative(path)}:{node.lineno}"


def test_modules_are_named_as_things() -> None:
    """No module is a drawer for leftovers."""
    for path in FILES:
        assert not re.search(r"(^|/)_?(utils?|helpers?|managers?|common|misc|base)(\.py|/)", relative(path)), path


def test_every_module_and_test_says_what_it_is() -> None:
    """Every module opens with a docstring, and every test's docstring is a sentence."""
    for path in [*FILES, *TEST_FILES]:
        assert path.stat().st_size == 0 or ast.get_docstring(tree(path)), f"{path} has no docstring"
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                sentence = ast.get_docstring(node) or ""
                assert sentence.rstrip().endswith("."), f"{path}:{node.lineno} {node.name} states no truth"


def test_no_sql_is_built_from_text() -> None:
    """Every SQL statement is a constant; values are bound (CVE-2026-42208)."""
    for path in FILES:
        for node in ast.walk(tree(path)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in {"execute", "executemany"}
            ):
                statement = node.args[0]
                pragma = isinstance(statement, ast.JoinedStr) and str(ast.unparse(statement)).startswith(
                    ("f'PRAGMA", 'f"PRAGMA')
                )
                assert not isinstance(statement, ast.JoinedStr | ast.BinOp) or pragma, f"{relative(path)}:{node.lineno}"


def test_nothing_names_a_package_registry() -> None:
    """No committed file names a registry's host: where packages come from is the machine's business."""
    hosts = re.compile(
        "|".join(["pypi" + r"\.org", "pythonhosted" + r"\.org", "registry" + r"\.npmjs", "npmjs" + r"\.com"])
    )
    for path in [
        *ROOT.glob("*"),
        *ROOT.rglob("scripts/*"),
        *ROOT.rglob("requirements/*"),
        *ROOT.rglob("tests/node/*"),
        *FILES,
    ]:
        if path.is_file():
            assert not hosts.search(path.read_text(errors="ignore")), path
