"""The mutation runner itself: what it changes, what it runs, what it says; and a sample of the ledger's mutants."""

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.mutation.__main__ import EQUIVALENT, PATHS, all_mutants, find_mutants, names, read_equivalent
from tests.mutation.mutants import mutants_of, mutate

ROOT = Path(__file__).parents[2]
SOURCE = '''
"""A docstring with SELECT and 1."""

LIMIT: "1 + 1" = 10
QUERY = "SELECT a FROM t WHERE b >= ? AND c = ? ORDER BY a DESC"
SET = "UPDATE t SET a = ? WHERE b = ?"


@cache(maxsize=3)
def pay(amount: int, *, cap: int | None = None) -> int:
    """Docstring."""
    if amount < LIMIT and not cap:
        raise ValueError(f"too little: {amount + 1}")
    try:
        ledger.post(amount, kind="charge")
    except (KeyError, TypeError):
        ledger.lost += 1
    return min(amount, cap or 5)
'''
EXPECTED = {
    "10  =>  11",
    "10  =>  9",
    "SELECT a FROM t WHERE b >= ? AND c = ? ORDER B  =>  SELECT a FROM t WHERE b > ? AND c = ? ORDER B",
    "amount < LIMIT  =>  amount <= LIMIT",
    "amount < LIMIT  =>  amount >= LIMIT",
    "amount < LIMIT and (not cap)  =>  amount < LIMIT or not cap",
    "amount < LIMIT and (not cap)  =>  amount < LIMIT",
    "amount < LIMIT and (not cap)  =>  not cap",
    "not cap  =>  cap",
    "raise ValueError(f'too little: {amount + 1}')  =>  (dropped)",
    "ledger.post(amount, kind='charge')  =>  (dropped)",
    "ledger.post(... kind='charge')  =>  (left out)",
    "except (KeyError, TypeError): ledger.lost += 1  =>  except (KeyError, TypeError): raise",
    "except (KeyError, TypeError): ledger.lost += 1  =>  except (TypeError,): ledger.lost += 1",
    "ledger.lost += 1  =>  ledger.lost -= 1",
    "ledger.lost += 1  =>  (dropped)",
    "return min(amount, cap or 5)  =>  return None",
    "min(amount, cap or 5)  =>  max(amount, cap or 5)",
    "cap or 5  =>  cap and 5",
    "5  =>  6",
}
PRODUCT = '''
"""A product."""


def larger(one: int, other: int) -> int:
    """The larger of two."""
    if one > other:
        return one
    return other


def unused(one: int) -> int:
    """Nobody calls it."""
    return one + 1


def endless(count: int) -> int:
    """Counts down."""
    while count > 0:
        count -= 1
    return count
'''
TESTS = '''
"""Its tests."""

from product import endless, larger


def test_the_larger_is_found() -> None:
    """Of two."""
    assert larger(2, 1) == 2
    assert larger(1, 2) == 2


def test_counting_ends() -> None:
    """At zero."""
    assert endless(3) == 0
'''


def test_each_kind_of_fault_is_made_once_where_it_can_be() -> None:
    """Bounds, conditions and their parts, signs, steps, arguments, handlers, SQL; nothing that is only said."""
    found = [mutant.change for mutant in mutants_of(SOURCE, "pay.py")]
    assert sorted(EXPECTED - set(found)) == []
    assert len(set(found)) == len(found)
    for left_alone in ("docstring", "maxsize", "'1 + 1'", "int | None", "SET a <> ?"):
        assert not [change for change in found if left_alone in change.partition("  =>  ")[0]], left_alone
    assert [change for change in found if "WHERE b <> ?" in change]


def test_every_mutant_is_another_program() -> None:
    """Each compiles, and differs from the source and from all the others, in its one place."""
    shapes = {ast.dump(ast.parse(SOURCE))}
    mutants = mutants_of(SOURCE, "pay.py")
    for mutant in mutants:
        tree = mutate(SOURCE, mutant.number)
        compile(tree, "pay.py", "exec")
        shapes.add(ast.dump(tree))
        first, last = mutant.lines
        assert first <= mutant.line <= last
    assert len(shapes) == len(mutants) + 1
    with pytest.raises(IndexError):
        mutate(SOURCE, len(mutants))


def test_a_mutant_keeps_its_name_when_lines_move() -> None:
    """Names are by scope and change, so that what is known of a mutant stays known."""
    moved = f"# a line\n\n{SOURCE}"
    assert [one.name for one in mutants_of(moved, "p")] == [one.name for one in mutants_of(SOURCE, "p")]
    scopes = {one.scope for one in mutants_of(SOURCE, "p")}
    assert scopes == {"", "pay"}


def test_what_is_called_equivalent_exists_and_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that names no mutant any more is to be removed: it may hide a new one."""
    monkeypatch.chdir(ROOT)
    known = read_equivalent(Path(EQUIVALENT))
    mutants = all_mutants(PATHS)
    assert [entry for entry in known if not any(names(entry, mutant) for mutant in mutants)] == []
    assert all(reason.endswith(".") for reason in known.values())
    assert len(find_mutants(PATHS)) > 0.9 * len(mutants)


def run(*options: str) -> tuple[int, list[str]]:
    """The command's exit code and lines."""
    command = [sys.executable, "-m", "tests.mutation", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    return done.returncode, done.stdout.splitlines() + done.stderr.splitlines()


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A small product with tests, one of whose functions nobody tests."""
    (tmp_path / "src" / "tollhouse").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\nasyncio_default_fixture_loop_scope = "function"\n'
    )
    (tmp_path / "src" / "tollhouse" / "product.py").write_text(textwrap.dedent(PRODUCT))
    (tmp_path / "src" / "tollhouse" / "__init__.py").write_text("")
    (tmp_path / "tests" / "test_product.py").write_text(TESTS.replace("from product", "from tollhouse.product"))
    return tmp_path


def test_what_tests_notice_is_killed_and_what_they_miss_is_named(product: Path) -> None:
    """A fault that is seen, one that makes no difference, one that nobody comes by, and one that never ends."""
    options = ("--root", str(product), "--path", "src/tollhouse/product.py", "--tests", "tests")
    code, lines = run(*options, "--only", " larger: ")
    verdicts = [(line.rpartition(": ")[2], line.partition("  ")[0]) for line in lines if " s  src/" in line]
    assert ("one > other  =>  one <= other", "killed") in verdicts
    assert ("one > other  =>  one >= other", "survived") in verdicts
    assert (len(verdicts), code) == (4, 1)
    assert lines[-5:] == [
        "",
        "1 not killed:",
        "  survived: src/tollhouse/product.py:7 larger: one > other  =>  one >= other",
        "src/tollhouse/product.py: 3 of 4 killed",
        "score 75.0 % of 4 mutants",
    ]
    assert run(*options, "--only", " larger: ", "--least", "75")[0] == 0
    code, lines = run(*options, "--only", "unused: return")
    assert (code, lines[-4].startswith("1 not killed"), "no test comes by" in lines[-3]) == (1, True, True)
    code, lines = run(*options, "--only", "endless: count -= 1  =>  (dropped)")
    assert (code, lines[-3], "killed (time)" in lines[-5]) == (0, "all killed", True)
    assert (product / "src" / "tollhouse" / "product.py").read_text() == textwrap.dedent(PRODUCT)


def test_a_suite_that_fails_anyway_says_nothing_of_mutants(product: Path) -> None:
    """Then every mutant would be killed: the run ends with 2."""
    (product / "tests" / "test_product.py").write_text(
        '"""No."""\n\ndef test_no() -> None:\n    """No."""\n    assert 0\n'
    )
    code, lines = run("--root", str(product), "--path", "src/tollhouse/product.py", "--tests", "tests")
    assert code == 2
    assert "the tests fail without a mutant: tests" in lines


def test_a_sample_of_the_wallets_mutants_is_killed_by_the_wallets_tests() -> None:
    """A few faults in the code that decides who may spend, each of which its own tests notice."""
    options = ("--path", "src/tollhouse/ledger/wallet.py", "--only", "Wallet.take:", "--sample", "5", "--seed", "7")
    code, lines = run(*options, "--tests", "tests/ledger/test_wallet.py", "--least", "100")
    assert code == 0, lines
    assert "all killed" in lines
