"""The documentation says all there is to say, and nothing that is not so."""

import ast
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from tests.docs import generate
from tests.docs.markdown import DOCS, PAGES, README, ROOT, anchors, blocks, links, name, without_fences
from tests.fakes.door import CATALOGUE, opened
from tollhouse import config, errors
from tollhouse.cli import main as command_line
from tollhouse.engines.guide.index import Index
from tollhouse.engines.guide.model import answers, shipped_pages
from tollhouse.errors import Fault, UpstreamRateLimited
from tollhouse.providers.protocol import Provider
from tollhouse.telemetry.metrics import COUNTERS, REGISTERED
from tollhouse.types.calls import ChatCall, Host, Target

SOURCES = sorted((ROOT / "src" / "tollhouse").rglob("*.py"))
each_page = pytest.mark.parametrize("page", PAGES, ids=name)


def text_of(page: str) -> str:
    """A page's text."""
    return (DOCS / page).read_text("utf-8")


def faults(kind: type[Fault] = Fault) -> Iterator[type[Fault]]:
    """Every class of `errors` that is raised by its own name."""
    for child in kind.__subclasses__():
        if child.__module__.startswith(errors.__name__):
            if child.__name__ not in {"ClientFault", "PolicyFault", "OurFault"}:
                yield child
            yield from faults(child)


def error_rows() -> dict[str, list[str]]:
    """The rows of the table of errors, by error_id."""
    rows = [line.strip("| ").split(" | ") for line in text_of("errors.md").splitlines() if re.match(r"\| `[A-Z]", line)]
    return {row[0].strip("`"): row for row in rows}


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.__name__) for kind in faults()])
def test_every_error_has_its_row(kind: type[Fault]) -> None:
    """Status, type and code of each class are those of the table, and what to do is said."""
    row = error_rows()[kind.error_id]
    assert len(row) == 6
    _, status, type_, code, happened, fix = row
    if not issubclass(kind, errors.UpstreamRejected):  # it has the status of the host
        assert status == str(kind.status)
    assert type_ == f"`{kind.type}`"
    assert kind.code is None or f"`{kind.code}`" in code
    assert happened
    assert fix


def test_the_table_has_no_other_rows() -> None:
    """Every row is a class that exists."""
    assert set(error_rows()) == {kind.error_id for kind in faults()}


def codes_in(source: Path) -> Iterator[str]:
    """The codes that a file gives to errors: ``code="..."``, and the last argument of a `Problem`."""
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        if getattr(node.func, "id", "") == "Problem" and len(node.args) == 3:
            given.append(node.args[2])
        for value in given:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value
            if isinstance(value, ast.JoinedStr):  # the codes of numbers: f"{name}_above_max_value"
                yield from (ast.unparse(value)[2:-1].replace("{name}", kind) for kind in ("integer", "decimal"))


def test_every_code_is_explained() -> None:
    """Each code that the source gives to an error is on the page."""
    found = {code for source in SOURCES for code in codes_in(source)}
    assert len(found) > 15
    page = text_of("errors.md")
    assert [code for code in sorted(found) if f"`{code}`" not in page] == []


@pytest.mark.parametrize("metric", REGISTERED)
def test_every_metric_is_listed(metric: str) -> None:
    """By the name that Prometheus sees."""
    assert f"`{metric}{'_total' if metric in COUNTERS else ''}`" in text_of("operations.md")


async def test_every_route_is_listed() -> None:
    """Both listeners' endpoints are in the table of operations, those under /admin in that of the admin API."""
    async with opened() as door:
        routes = [*door.app.routes, *door.app.admin_routes]
    page = text_of("operations.md").partition("## How do I check")[0] + text_of("admin.md").partition("## What are")[0]
    assert [f"{route.method} {route.path}" for route in routes if f"`{route.method} {route.path}`" not in page] == []
    listed = set(re.findall(r"`((?:GET|POST|DELETE|PUT|PATCH) /[^`]*)`", page))
    assert listed == {f"{route.method} {route.path}" for route in routes}


def test_every_command_and_option_is_listed() -> None:
    """And each has a text of its own."""
    page = text_of("cli.md")
    for words, command in generate.commands(command_line):
        assert f"### `{words}" in page
        assert command.help
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, (words, option.name)
                assert f"`{generate.spelled(option)}`" in page


def test_every_response_header_is_listed() -> None:
    """Each header that the source writes beside the framing is in the table of operations."""
    written = re.compile(
        r"\b(x-(?:tollhouse|should|request|accel)[a-z-]*|retry-after|openai-(?:processing|version)[a-z-]*)\b"
    )
    found = {header for source in SOURCES for header in written.findall(source.read_text("utf-8"))}
    assert {"x-tollhouse-target", "x-request-id", "x-should-retry", "retry-after"} <= found
    page = text_of("operations.md")
    missing = [header for header in sorted(found) if not re.search(rf"`{header}\b", page)]
    assert missing == []


@pytest.mark.parametrize("page", sorted(generate.PARTS))
def test_what_is_made_from_the_code_is_in_step(page: str) -> None:
    """`scripts/docs` would change nothing."""
    assert generate.renewed(DOCS / page) == text_of(page), "run scripts/docs"


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    """Each link inside the repository names a file that is there, and a heading that it has."""
    for link in links(page):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / path if page.parent == ROOT else page.parent / path) if path else page
        assert target.exists(), f"{name(page)}: {link}"
        if anchor:
            assert anchor in anchors(target.resolve()), f"{name(page)}: {link}"


@each_page
def test_every_page_is_found_from_the_index(page: Path) -> None:
    """The index lists each page of the documentation, and pages begin with their title."""
    text = page.read_text("utf-8")
    assert text.startswith("# ")
    if page.is_relative_to(DOCS) and page.name != "index.md":
        assert page.relative_to(DOCS).as_posix() in set(links(DOCS / "index.md"))


@each_page
def test_configuration_in_pages_is_valid(page: Path, tmp_path: Path) -> None:
    """Each block of TOML is a configuration that Tollhouse takes, or a row of its catalogue."""
    variables = {variable for row in CATALOGUE.providers.values() for variable in row.key_vars}
    environ = {"HOME": str(tmp_path), **dict.fromkeys(variables, "sk-x")}
    for number, block in enumerate(blocks(page, "toml")):
        if "[hosts." in block.text:
            assert "catalog" in page.read_text("utf-8")
            continue
        file = tmp_path / f"{number}.toml"
        file.write_text(block.text)
        file.chmod(0o600)
        named = re.findall(r'"env:(\w+)"', block.text)
        secrets = re.findall(r'"file:([^"]+)"', block.text)
        text = block.text
        for secret in secrets:
            (tmp_path / Path(secret).name).write_text("sk-x")
            text = text.replace(secret, str(tmp_path / Path(secret).name))
        file.write_text(text)
        for terms in re.findall(r'^file = "([^"]+)"', text, re.MULTILINE):
            (tmp_path / terms).write_text("a term\n")
        for texts in re.findall(r"^texts = \[(.*)\]", text, re.MULTILINE):
            for folder in re.findall(r'"([^"]+)"', texts):
                (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        config.load(file, {**environ, **dict.fromkeys(named, "sk-x")}, CATALOGUE.providers)


@each_page
def test_commands_in_pages_exist(page: Path) -> None:
    """Each ``tollhouse`` line of a shell block is a command with options that it has, and each script is there."""
    lines = [line.strip() for block in blocks(page, "sh") for line in block.text.splitlines()]
    for line in lines:
        words = re.sub(r"\s+#.*", "", line).split()
        if words[:1] == ["tollhouse"]:
            check_command(words[1:])
        elif words and words[0].startswith("scripts/"):
            assert (ROOT / words[0]).exists(), line


def check_command(words: list[str]) -> None:
    """Asserts that a command and its options are there."""
    command: Any = command_line
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    known = {opt for option in command.params for opt in option.opts}
    assert {word for word in words if word.startswith("--")} <= known | {"--help"}


@each_page
def test_json_and_python_in_pages_parse(page: Path) -> None:
    """Blocks of JSON are JSON, blocks of Python are Python."""
    for block in blocks(page, "json"):
        json.loads(block.text)
    for block in blocks(page, "python"):
        compile(textwrap.dedent(block.text), name(page), "exec")


def test_the_error_of_the_page_is_what_is_sent() -> None:
    """The example has the members, in the order, of a real one."""
    example = json.loads(blocks(DOCS / "errors.md", "json")[0].text)
    real = errors.ModelNotFound("x", param="model").body("req_1")
    assert list(example["error"]) == list(real["error"])
    assert {key: example["error"][key] for key in ("type", "param", "code", "error_id")} == {
        key: real["error"][key] for key in ("type", "param", "code", "error_id")
    }


def test_the_provider_of_the_page_works() -> None:
    """The example of a dialect of its own sends what it says it sends."""
    (block,) = blocks(DOCS / "adding-a-provider.md", "python")
    module: dict[str, Any] = {}
    exec(compile(block.text, "provider", "exec"), module)  # noqa: S102 - the documentation's own text
    target = Target(Host("h", "https://h.example/v1", auth="none"), "m-1")
    call = ChatCall("m", {"model": "m", "messages": []}, stream=False, include_usage=False)
    provider: Provider = module["PROVIDER"]
    assert provider.encode_chat(call, target, cap=7).outgoing.path == "/v1/models/m-1/chat/completions"
    assert isinstance(provider.decode_error(429, {}, b"{}"), UpstreamRateLimited)


@pytest.mark.parametrize(
    ("question", "page"),
    [
        ("How do I make a key?", "operations.md"),
        ("How do I revoke a key?", "operations.md"),
        ("Why do I get 401?", "errors.md"),
        ("Why do I get a 404 for a model?", "errors.md"),
        ("How do I add a model alias?", "quickstart.md"),
        ("How do I add a provider?", "adding-a-provider.md"),
        ("What metrics are there?", "operations.md"),
        ("How do I reload the configuration?", "operations.md"),
        ("How do I connect Ollama?", "quickstart.md"),
        ("What does upstream_stalled mean?", "errors.md"),
        ("How do I use LlamaIndex?", "quickstart.md"),
        ("Which exit codes are there?", "cli.md"),
        ("How do I change the port?", "operations.md"),
        ("How do I enable CORS for my site?", "operations.md"),
        ("How do I stop the server gracefully?", "operations.md"),
        ("How do I back up?", "operations.md"),
        ("How do I stream?", "quickstart.md"),
        ("How do I pin a provider?", "quickstart.md"),
    ],
)
def test_the_guide_finds_the_answer(question: str, page: str) -> None:
    """A question as a user would ask it leads `tollhouse/guide` to the page that answers it, among its sources."""
    found = [hit.section.file for hit in answers(Index(shipped_pages()), question)]
    assert page in found


@each_page
def test_figures_of_the_catalogue_are_right(page: Path) -> None:
    """Where a page says how many hosts are known, it is that many."""
    said = set(re.findall(r"\b(\d{2,}) hosts\b", page.read_text("utf-8")))
    assert said <= {str(len(CATALOGUE.providers))}


@each_page
def test_pages_are_plain(page: Path) -> None:
    """No line has blanks at its end, and quotes and dashes are those of a keyboard."""
    for number, line in enumerate(without_fences(page.read_text("utf-8")).splitlines(), 1):
        where = f"{name(page)}:{number}"
        assert line == line.rstrip(), where
        assert not re.search("[\u2018\u2019\u201c\u201d\u2013\u2014\u2026]", line), where


def test_no_package_registry_is_named() -> None:
    """What is installed, and from where, is the business of the tools' own settings."""
    hosts = re.compile(r"(pypi|npmjs|pythonhosted|registry)\.(org|com)")
    assert [name(page) for page in [*PAGES, README] if hosts.search(page.read_text("utf-8"))] == []
