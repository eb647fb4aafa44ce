"""The JavaScript twin of ``tollhouse.client``: the same table of cases by Node's test runner, and its types by tsc."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.client.cases import FILE
from tests.e2e.node import PACKAGES, ROOT
from tests.e2e.process import ENVIRON
from tollhouse import client

SDK = ROOT / "sdk" / "js"
HERE = Path(__file__).parent


def run(*command: str | Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """A program to its end."""
    environ = {**ENVIRON, "SDK": str(SDK / "index.js"), "CASES": str(FILE)}
    words = [str(word) for word in command]
    return subprocess.run(  # noqa: S603 - our own scripts
        words, cwd=cwd, env=environ, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder in which an application would import the package and OpenAI's, as installed."""
    assert PACKAGES.is_dir(), "scripts/test installs the packages of tests/node"
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "tollhouse-client").symlink_to(SDK)
    (modules / "openai").symlink_to(PACKAGES / "openai")
    return tmp_path


def test_it_reads_the_table_as_python_does(project: Path) -> None:
    """Every answer, error, wait and stream of the table; prototypes, frozen data, checks, linear cost."""
    done = run("node", "--test", HERE / "cases.mjs", cwd=project)
    assert done.returncode == 0, done.stdout
    counts = dict(re.findall(r"^# (pass|fail) (\d+)$", done.stdout, re.MULTILINE))
    assert int(counts["pass"]) > 50
    assert counts["fail"] == "0"


def test_names_and_templates_are_those_of_python(project: Path) -> None:
    """The same errors in the same order, the same five templates, both read off the module itself."""
    script = project / "script.mjs"
    script.write_text(
        'import * as sdk from "tollhouse-client";\n'
        "console.log(JSON.stringify({ ids: Object.values(sdk.ErrorId), templates: sdk.SafetyTemplates }));\n"
    )
    told = json.loads(run("node", script, cwd=project).stdout)
    assert told["ids"] == list(client.ErrorId)
    mine = {
        one.id.upper(): {
            "id": one.id,
            "severityThreshold": one.threshold,
            "failOnFiltered": one.by_severity,
            "categories": list(one.categories or ()),
        }
        for one in client.TEMPLATES.values()
    }
    theirs = {
        name: {**one, "categories": one["categories"] if isinstance(one.get("categories"), list) else []}
        for name, one in told["templates"].items()
    }
    assert theirs == mine


def test_the_types_are_in_step_with_the_module(project: Path) -> None:
    """``index.d.ts`` declares every name that ``index.js`` exports and no other, and each error by its name."""
    script = project / "script.mjs"
    script.write_text('import * as sdk from "tollhouse-client";\nconsole.log(JSON.stringify(Object.keys(sdk)));\n')
    exported = json.loads(run("node", script, cwd=project).stdout)
    types = (SDK / "index.d.ts").read_text("utf-8")
    declared = re.findall(r"^export declare (?:function|const|class) (\w+)", types, re.MULTILINE)
    assert sorted(declared) == sorted(exported)
    assert re.findall(r'^  readonly ([A-Z_]+): "\1";$', types, re.MULTILINE) == list(client.ErrorId)


def test_an_application_compiles_against_the_types(project: Path) -> None:
    """TypeScript in strict mode takes usage.ts, OpenAI's own client in it, and refuses what usage.ts says it must."""
    (project / "usage.ts").write_text((HERE / "usage.ts").read_text("utf-8"))
    options = ("--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--skipLibCheck")
    module = ("--module", "nodenext", "--moduleResolution", "nodenext")
    compiler = PACKAGES / "typescript" / "bin" / "tsc"
    assert compiler.is_file(), "scripts/test installs the packages of tests/node"
    done = run("node", compiler, *options, *module, project / "usage.ts", cwd=project)
    assert done.returncode == 0, done.stdout


def test_the_package_has_what_it_says() -> None:
    """Every file of the package is there, it depends on nothing, and its version is Tollhouse's."""
    package = json.loads((SDK / "package.json").read_text("utf-8"))
    assert all((SDK / file).is_file() for file in package["files"])
    assert not any(name.endswith("ependencies") for name in package)
    assert re.findall(r"\bimport\b", (SDK / "index.js").read_text("utf-8")) == []
