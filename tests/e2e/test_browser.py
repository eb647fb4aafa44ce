"""The README's browser example in a real browser: a page of another origin that streams from the gateway.

Debian's chromium, driven by playwright-core; `scripts/test` installs both. The pages are served from another port of
loopback, so everything the browser does about origins (preflight, exposed headers, refusal) is in play.
"""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from tests.docs.markdown import README, ROOT, block
from tests.e2e.backstage import CONFIG, SECRET, Backstage
from tests.e2e.node import SCRIPTS, run_node
from tests.e2e.process import ENVIRON, Gateway, running, until
from tests.fakes.chaos import Send, chunk, head
from tests.fakes.openai_wire import DONE, STOP

EXAMPLE = block(README, "html", "Browser")
READ_ERROR = """<!doctype html><p id="answer"></p><script type="module">
const { OPENAI_BASE_URL, OPENAI_API_KEY } = localStorage;
const show = (shown) => (document.querySelector("#answer").textContent = JSON.stringify(shown));
try {
  const response = await fetch(`${OPENAI_BASE_URL}/chat/completions`, {
    method: "POST",
    headers: { Authorization: `Bearer ${OPENAI_API_KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify({
      model: "tollhouse/sim",
      messages: [{ role: "user", content: "[sim: error=429 retry_after=7]" }],
    }),
  });
  const { error } = await response.json();
  const named = ["retry-after", "x-request-id", "x-should-retry"].map((name) => response.headers.get(name));
  show([response.status, error.code, error.request_id, ...named]);
} catch (error) {
  show(`refused: ${error}`);
}
</script>"""


class Pages(BaseHTTPRequestHandler):
    """Serves the server's pages."""

    def do_GET(self) -> None:
        """A page by its path; an empty one for a favicon."""
        page = cast("Site", self.server).pages.get(self.path.partition("?")[0], "").encode()
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Says nothing."""


class Site(ThreadingHTTPServer):
    """Where the pages come from."""

    pages: dict[str, str]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A running site."""
    chat = (ROOT / "examples" / "chat.html").read_text()
    with Site(("127.0.0.1", 0), Pages) as server:
        server.pages = {"/example": EXAMPLE, "/error": READ_ERROR, "/chat": chat}
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def visit(
    folder: Path, url: str, gateway: Gateway, *, key: str | None = None, shows: str, args: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What a page shows once its text matches."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    assert browser is not None, "scripts/test installs chromium"
    storage = {"OPENAI_BASE_URL": gateway.url, "OPENAI_API_KEY": key or gateway.key}
    page = {"browser": browser, "url": url, "storage": storage, "shows": shows, "args": args}
    environ = {**ENVIRON, "PAGE": json.dumps(page)}
    found = json.loads(run_node(folder, (SCRIPTS / "page.mjs").read_text(), environ))
    assert isinstance(found, dict)
    return found


def test_the_readmes_example(site: Site, gateway: Gateway, tmp_path: Path) -> None:
    """The page of another origin shows the answer of the small real model."""
    found = visit(tmp_path, f"http://localhost:{site.server_port}/example", gateway, shows=r"\S")
    assert found["errors"] == []


def test_the_readmes_example_shows_text_as_it_comes(site: Site, stage: Backstage, tmp_path: Path) -> None:
    """From a host that writes slowly, in bytes that cut characters, the page grows piece by piece and loses nothing.

    Before it the browser asks for leave, without a key.
    """
    event = b'data: {"choices":[{"index":0,"delta":{"content":"%b "},"finish_reason":null}]}\n\n'
    slow = [Send(chunk(event % word.encode()), size=20, gap_s=0.02) for word in ("漢字", "\U0001f680", "caf\u00e9")]
    end = Send(b"".join(map(chunk, (STOP, DONE))) + b"0\r\n\r\n")
    stage.play([Send(head(200, "content-type: text/event-stream", "transfer-encoding: chunked")), *slow, end])
    config = f'{CONFIG.format(port=stage.up.port)}\n[models."tollhouse/tiny"]\ntargets = ["stage/m-2024-01-01"]\n'
    with running(tmp_path, config, environ={"STAGE_KEY": SECRET}) as gateway:
        found = visit(tmp_path, f"http://localhost:{site.server_port}/example", gateway, shows="caf")
        until(lambda: len(gateway.records("request")) == 2)
        lines = [(line["method"], line["status"], line.get("key") is None) for line in gateway.records("request")]
        assert lines == [("OPTIONS", 204, True), ("POST", 200, False)]
    assert found["text"].strip() == "漢字 \U0001f680 caf\u00e9"
    assert len(set(found["growth"])) >= 3


def test_the_readmes_example_shows_a_refusal(site: Site, gateway: Gateway, tmp_path: Path) -> None:
    """With a wrong key the page can read the error, for CORS headers are on errors too."""
    url = f"http://localhost:{site.server_port}/example"
    found = visit(tmp_path, url, gateway, key="sk-wrong", shows="API key")
    assert "Incorrect API key provided" in found["text"]
    assert [error for error in found["errors"] if "CORS" in error] == []


def test_a_page_reads_the_headers_of_an_error(site: Site, gateway: Gateway, tmp_path: Path) -> None:
    """Status, code, request id and Retry-After are readable by script."""
    found = visit(tmp_path, f"http://127.0.0.1:{site.server_port}/error", gateway, shows="429")
    status, code, request_id, wait, same_id, retry = json.loads(found["text"])
    assert (status, code, wait, retry) == (429, "rate_limit_exceeded", "7", None)
    assert request_id == same_id
    assert same_id.startswith("req_")


def test_a_page_of_a_strange_origin_is_refused_by_the_browser(site: Site, tmp_path: Path) -> None:
    """A page of evil.example on this very machine gets nothing: its request stops at the preflight."""
    rules = "--host-resolver-rules=MAP evil.example 127.0.0.1"
    url = f"http://evil.example:{site.server_port}/error"
    with running(tmp_path) as gateway:
        found = visit(tmp_path, url, gateway, shows="refused|429", args=(rules,))
        until(lambda: bool(gateway.records("request")))
        assert {line["method"] for line in gateway.records("request")} == {"OPTIONS"}
    assert "refused: TypeError" in found["text"]
    assert any("CORS policy" in error for error in found["errors"])


def test_the_chat_page_holds_a_conversation(site: Site, gateway: Gateway, tmp_path: Path) -> None:
    """examples/chat.html asks and shows the answer of the model that its address names."""
    url = f"http://localhost:{site.server_port}/chat?ask=How+do+I+make+a+key%3F&model=tollhouse/guide"
    found = visit(tmp_path, url, gateway, shows="Sources:")
    assert found["errors"] == []
    assert "tollhouse keys create" in found["text"]
