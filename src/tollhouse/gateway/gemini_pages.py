"""Gemini's API under /v1beta: which method a path asks for, the models, and token counts.

``POST /v1beta/models/MODEL:generateContent`` and ``:streamGenerateContent`` go through `gateway.pipeline`; the query
``alt=sse`` makes a stream events, without it a stream is one JSON array. ``:countTokens`` asks a host that speaks the
dialect, and estimates for any other; it costs nothing. A key may stand in the query, as Google allows: it is moved into
a header at once, before anything looks at the query.

https://ai.google.dev/api
"""

from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from tollhouse.dialects.gemini.client import GEMINI, GeminiClient
from tollhouse.dialects.gemini.framing import Elements
from tollhouse.dialects.gemini.read import COUNT, STREAM, read_path, split_path
from tollhouse.dialects.usage import sane
from tollhouse.errors import InvalidRequest, ModelNotFound, UpstreamBadResponse
from tollhouse.gateway.counting import count_at_host, read_count
from tollhouse.gateway.gate import Gate
from tollhouse.gateway.hosts import refuse_chosen_host
from tollhouse.gateway.meter import estimate_prompt
from tollhouse.gateway.models import is_permitted, may_see
from tollhouse.gateway.needs import CHAT
from tollhouse.gateway.pipeline import ChatPipeline
from tollhouse.gateway.trial import Trial
from tollhouse.snapshot import Snapshot
from tollhouse.types.calls import ChatCall, ModelFacts, Target
from tollhouse.types.tenancy import Principal
from tollhouse.web.exchange import ErrorForm, Exchange
from tollhouse.web.heads import header_line, json_body
from tollhouse.web.routes import Handler

ERRORS = ErrorForm(GEMINI.error, GEMINI.error_event)
"""How faults are told to clients of this dialect."""
_KEY_HEADER = b"x-goog-api-key"
_GOOGLES = frozenset({_KEY_HEADER, b"x-goog-api-client"})
_PAGE, _MOST = 50, 1000
_METHODS = ("generateContent", "streamGenerateContent", "countTokens")

_encode = msgspec.json.Encoder().encode


class GeminiPages:
    """All of it. ``chat`` is the pipeline of streams of events and of whole answers."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._chat = ChatPipeline(gate, GEMINI)

    async def call(self, exchange: Exchange) -> None:
        """A POST: the method after the last colon of the path. Raises `Fault`."""
        take_key(exchange)
        _, method = read_path(exchange.rest.decode("latin-1"))
        if method == COUNT:
            await self._count(exchange)
        elif method == STREAM and not _asks_events(exchange.query):
            array = GeminiClient(Elements())
            exchange.errors = ErrorForm(array.error, array.error_event)
            exchange.stream_type = "application/json"
            await ChatPipeline(self._gate, array)(exchange)
        else:
            await self._chat(exchange)

    def beside(self, ours: Handler, theirs: Handler) -> Handler:
        """A handler of a path that two dialects share: ``ours`` for clients that send a header of Google's, as all of
        its SDKs do.
        """

        async def choose(exchange: Exchange) -> None:
            if _GOOGLES.isdisjoint(exchange.headers):
                await theirs(exchange)
                return
            exchange.speak(ERRORS)
            await ours(exchange)

        return choose

    # --- models ---------------------------------------------------------------------------------------------------

    async def list(self, exchange: Exchange) -> None:
        """A page of the names that can be called: ``pageSize`` of them from ``pageToken`` on."""
        principal = self._reader(exchange)
        snapshot = self._gate.live.snapshot
        listed = [(n, t) for n, t in snapshot.names.listed().items() if may_see(principal, n, t)]
        first, size = _page(exchange.query)
        page: dict[str, Any] = {"models": [describe(name, targets) for name, targets in listed[first : first + size]]}
        if first + size < len(listed):
            page["nextPageToken"] = str(first + size)
        exchange.reply(200, json_body(page))

    async def retrieve(self, exchange: Exchange) -> None:
        """One model, by any name that can be called."""
        principal = self._reader(exchange)
        snapshot = self._gate.live.snapshot
        given = unquote(exchange.rest.decode("latin-1"))[:256]
        name = given if snapshot.names.resolve(given) else split_path(f"{given}:")[0]
        targets = snapshot.names.resolve(name)
        if not targets or not is_permitted(principal, name, targets):
            raise ModelNotFound(snapshot.suggestions.explain(name), param="model")
        exchange.reply(200, json_body(describe(name, targets)))

    def _reader(self, exchange: Exchange) -> Principal:
        take_key(exchange)
        return self._gate.keyring.identify(exchange.headers, exchange.client)

    # --- tokens ---------------------------------------------------------------------------------------------------

    async def _count(self, exchange: Exchange) -> None:
        principal, body = await self._gate.receive(exchange)
        visit = self._gate.admit(exchange, principal, CHAT)
        with visit.page():
            refuse_chosen_host(exchange)
            call = GEMINI.read(body, exchange.rest.decode("latin-1"), exchange.headers)
            exchange.release_body()
            found = await count_at_host(self._gate, visit, call, lambda trial: _ask(trial, visit.snapshot, call))
            counted, target = found or ({"totalTokens": max(1, estimate_prompt(call.body))}, "estimate")
            headers = header_line("x-tollhouse-target", target) + visit.lease.headers()
            exchange.reply(200, json_body(counted), headers)


async def _ask(trial: Trial, snapshot: Snapshot, call: ChatCall) -> dict[str, Any]:
    """What a host counts. Raises `UpstreamFault`."""
    target = trial.target
    provider = snapshot.providers[target.provider]
    asked = {name: value for name, value in (call.native or {}).items() if name != "model"}
    outgoing = provider.encode_relay(COUNT, "application/json", _encode(asked), target)
    answer = await read_count(trial, outgoing)
    if sane(answer.get("totalTokens")) is None:
        raise UpstreamBadResponse("The upstream's answer holds no count.")
    return answer


def take_key(exchange: Exchange) -> None:
    """Moves a key from the query into the header that it stands for. A header that is there counts."""
    if b"key=" not in exchange.query:
        return
    pairs = exchange.query.split(b"&")
    keys = [pair[4:] for pair in pairs if pair.startswith(b"key=")]
    exchange.query = b"&".join([pair for pair in pairs if not pair.startswith(b"key=")])
    if keys and _KEY_HEADER not in exchange.headers:
        exchange.headers[_KEY_HEADER] = unquote(keys[-1].decode("latin-1")).encode("utf-8", "replace")


def describe(name: str, targets: tuple[Target, ...]) -> dict[str, Any]:
    """One model in Google's shape, of the first target. What the catalogue does not tell is left out."""
    target = targets[0]
    facts = target.facts or ModelFacts(target.model, target.model)
    limits = {"inputTokenLimit": facts.context_tokens, "outputTokenLimit": facts.output_tokens}
    return {
        "name": f"models/{name}",
        "version": target.model,
        "displayName": facts.name,
        "description": f"{facts.name} at {target.host.name}",
        **{member: limit for member, limit in limits.items() if limit is not None},
        "supportedGenerationMethods": _METHODS,
        "thinking": facts.reasoning,
    }


def _asks_events(query: bytes) -> bool:
    asked = parse_qs(query.decode("latin-1"))
    return (asked.get("alt") or asked.get("$alt") or [""])[-1].lower() == "sse"


def _page(query: bytes) -> tuple[int, int]:
    """The first place and the length of a page. Raises `InvalidRequest`."""
    asked = {name: values[-1] for name, values in parse_qs(query.decode("latin-1")).items()}
    size = _number(asked, "pageSize", _PAGE) or _PAGE
    return _number(asked, "pageToken", 0), min(size, _MOST)


def _number(asked: dict[str, str], name: str, default: int) -> int:
    given = asked.get(name, "")
    if not given:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise InvalidRequest(f"'{name}' is a whole number, or one that a page has given.", param=name)
    return int(given)
