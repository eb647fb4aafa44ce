"""POST /v1/messages/count_tokens: how many tokens a prompt is, before anything is asked.

A target that speaks the client's dialect is asked to count; for any other, and where that host cannot say, the number
is our estimate (`gateway.meter`). It costs nothing, counts as one request of the caller's limits, and needs a key that
may chat with the model.

https://platform.claude.com/docs/en/api/messages-count-tokens
"""

import msgspec

from tollhouse.dialects.anthropic.client import ANTHROPIC
from tollhouse.dialects.anthropic.read import read_call
from tollhouse.dialects.usage import sane
from tollhouse.errors import UpstreamBadResponse
from tollhouse.gateway.counting import count_at_host, read_count
from tollhouse.gateway.gate import Gate
from tollhouse.gateway.hosts import refuse_chosen_host
from tollhouse.gateway.meter import estimate_prompt
from tollhouse.gateway.needs import CHAT
from tollhouse.gateway.trial import Trial
from tollhouse.snapshot import Snapshot
from tollhouse.types.calls import ChatCall
from tollhouse.web.exchange import ErrorForm, Exchange
from tollhouse.web.heads import header_line, json_body

ERRORS = ErrorForm(ANTHROPIC.error, ANTHROPIC.error_event, "request-id")
"""How faults are told to clients of this dialect."""
KIND = "messages/count_tokens"
"""The endpoint's path below ``/v1/``, as `Provider.encode_relay` knows it."""
_NOT_COUNTED = frozenset(
    {
        *("max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata", "service_tier"),
        *("container", "inference_geo", "diagnostics"),
    }
)
"""What a message may have and a count may not: the host would refuse it."""

_encode = msgspec.json.Encoder().encode


class CountTokensPage:
    """The endpoint."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __call__(self, exchange: Exchange) -> None:
        """Answers one request. Raises `Fault`."""
        principal, body = await self._gate.receive(exchange)
        visit = self._gate.admit(exchange, principal, CHAT)
        with visit.page():
            refuse_chosen_host(exchange)
            call = read_call(body, exchange.headers, counted=True)
            exchange.release_body()
            found = await count_at_host(self._gate, visit, call, lambda trial: _ask(trial, visit.snapshot, call))
            counted, target = found or (max(1, estimate_prompt(call.body)), "estimate")
            headers = header_line("x-tollhouse-target", target) + visit.lease.headers()
            exchange.reply(200, json_body({"input_tokens": counted}), headers)


async def _ask(trial: Trial, snapshot: Snapshot, call: ChatCall) -> int:
    """What a host counts. Raises `UpstreamFault`."""
    target = trial.target
    provider = snapshot.providers[target.provider]
    asked = {name: value for name, value in (call.native or {}).items() if name not in _NOT_COUNTED}
    body = _encode({**asked, "model": target.model})
    outgoing = provider.encode_relay(KIND, "application/json", body, target)
    if call.wire_headers:
        outgoing = outgoing.but(headers=tuple((dict(outgoing.headers) | dict(call.wire_headers)).items()))
    counted = sane((await read_count(trial, outgoing)).get("input_tokens"))
    if counted is None:
        raise UpstreamBadResponse("The upstream's answer holds no count.")
    return counted
