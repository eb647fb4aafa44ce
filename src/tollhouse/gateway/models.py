"""GET /v1/models and /v1/models/{id}: what can be called, in OpenAI's shape, and what it costs and can do.

A client that sends ``anthropic-version`` is given Anthropic's shape (`gateway.model_pages`).
"""

import asyncio
from typing import Any
from urllib.parse import unquote

from tollhouse.dialects.headers import path_segment
from tollhouse.errors import Forbidden, ModelNotFound
from tollhouse.gateway import router
from tollhouse.gateway.attempts import Attempts
from tollhouse.gateway.auth import Keyring
from tollhouse.gateway.model_pages import describe_model, heed_version, page_of
from tollhouse.gateway.trial import Trial, decode_answer
from tollhouse.ledger.prices import Bid, free_price
from tollhouse.snapshot import Live, Snapshot
from tollhouse.telemetry.metrics import Metrics
from tollhouse.tenancy.directory import allows_model
from tollhouse.types.calls import ModelFacts, Prices, Target
from tollhouse.types.tenancy import Principal
from tollhouse.web.exchange import Exchange
from tollhouse.web.heads import json_body

_PRICE_NAMES = ("input", "output", "cache_read", "cache_write", "reasoning", "input_audio", "output_audio")
_PICO_PER_USD = 10**12
_MAX_BYTES = 64 * 1024


class ModelPages:
    """Both pages. The list of a snapshot is encoded once."""

    def __init__(self, live: Live, keyring: Keyring, metrics: Metrics, created: int) -> None:
        self._metrics = metrics
        self._live = live
        self._keyring = keyring
        self._created = created
        self._listed: tuple[Snapshot, bytes] | None = None

    async def list(self, exchange: Exchange) -> None:
        """Every name that can be called: aliases first, then each host's models as ``host/model``."""
        speaks_messages = heed_version(exchange)
        principal = self._keyring.identify(exchange.headers, exchange.client)
        snapshot = self._live.snapshot
        if speaks_messages:
            listed = {n: t for n, t in snapshot.names.listed().items() if may_see(principal, n, t)}
            exchange.reply(200, json_body(page_of(exchange.query, listed)))
            return
        if principal.models:
            open_to_it = {n: t for n, t in snapshot.names.listed().items() if is_permitted(principal, n, t)}
            data = [self.describe(name, targets) for name, targets in open_to_it.items()]
            exchange.reply(200, json_body({"object": "list", "data": data}))
            return
        if self._listed is None or self._listed[0] is not snapshot:
            data = [self.describe(name, targets) for name, targets in snapshot.names.listed().items()]
            self._listed = snapshot, json_body({"object": "list", "data": data})
        exchange.reply(200, self._listed[1])

    async def retrieve(self, exchange: Exchange) -> None:
        """One model, by any name that can be called."""
        speaks_messages = heed_version(exchange)
        principal = self._keyring.identify(exchange.headers, exchange.client)
        name = _name(exchange)
        targets = self._live.snapshot.names.resolve(name)
        if not targets or not is_permitted(principal, name, targets):
            raise ModelNotFound(self._live.snapshot.suggestions.explain(name), param="model")
        shape = describe_model(name, targets) if speaks_messages else self.describe(name, targets)
        exchange.reply(200, json_body(shape))

    async def delete(self, exchange: Exchange) -> None:
        """Deletes a fine-tuned model at its host, where the operator allows it: any key that may call the model may
        ask, so it is off by default.
        """
        principal = self._keyring.identify(exchange.headers, exchange.client)
        if principal.permission == "read":
            raise Forbidden("This key may look, but not delete models. Ask for a key with the permission 'write'.")
        snapshot = self._live.snapshot
        if not snapshot.settings.models_api.allow_model_delete:
            raise Forbidden("Deleting models is off. The operator turns it on with [models_api] allow_model_delete.")
        name = _name(exchange)
        target = router.plan(snapshot, name).targets[0]
        if not is_permitted(principal, name, (target,)):
            raise ModelNotFound(snapshot.suggestions.explain(name), param="model")
        if snapshot.endpoint(target, "models") is None:
            raise ModelNotFound(f"The model '{name}' is not one that can be deleted.", param="model")
        free = Bid(target, free_price(target.host.name, target.model), 0, None, 0)
        attempts = Attempts(snapshot, (free,), self._live.health, self._metrics, asyncio.get_running_loop().time)
        exchange.notes["attempts"] = attempts.log
        deleted = await attempts.first(lambda trial: _delete(trial, snapshot))
        attempts.close()
        exchange.reply(200, json_body(deleted))

    def describe(self, name: str, targets: tuple[Target, ...]) -> dict[str, Any]:
        """OpenAI's model object, and what is known of the first target."""
        target = targets[0]
        facts = target.facts or ModelFacts(target.model, target.model)
        return {
            "id": name,
            "object": "model",
            "created": self._created,
            "owned_by": target.host.name.partition("/")[0],
            "name": facts.name,
            "targets": [target.id for target in targets],
            "context_length": facts.context_tokens,
            "max_output_tokens": facts.output_tokens,
            "modalities": {"input": list(facts.input_kinds), "output": list(facts.output_kinds)},
            "abilities": {
                "tools": facts.tools,
                "reasoning": facts.reasoning,
                "structured_output": facts.structured_output,
                "vision": "image" in facts.input_kinds,
            },
            "pricing": price_list(facts.prices),
        }


def may_see(principal: Principal, name: str, targets: tuple[Target, ...]) -> bool:
    """Whether a name is in a key's list."""
    return not principal.models or is_permitted(principal, name, targets)


def is_permitted(principal: Principal, name: str, targets: tuple[Target, ...]) -> bool:
    """Whether a key may call a name, or any of what it stands for."""
    return allows_model(principal, name) or any(allows_model(principal, target.id, target.model) for target in targets)


async def _delete(trial: Trial, snapshot: Snapshot) -> Any:
    """What the host answers to the deletion of a target's model."""
    target = trial.target
    provider = snapshot.providers[target.host.provider]
    relayed = provider.encode_relay(f"models/{path_segment(target.model)}", "application/json", b"", target)
    incoming = await trial.exchange(relayed.but(method="DELETE"))
    try:
        return decode_answer(await incoming.read(_MAX_BYTES))
    finally:
        incoming.close()


def _name(exchange: Exchange) -> str:
    """The model's name in a path, percent-decoded once."""
    return unquote(exchange.rest.decode("latin-1"))[:256]


def price_list(prices: Prices) -> dict[str, str] | None:
    """US dollars per token as exact decimal strings, by class; classes without a figure are left out, and None stands
    for a model without any. A price of zero is ``"0"``.
    """
    known = {name: getattr(prices, name) for name in _PRICE_NAMES if getattr(prices, name) is not None}
    return {name: decimal_usd(pico) for name, pico in known.items()} or None


def decimal_usd(pico: int) -> str:
    """Pico-USD as dollars, exactly: 150000 is ``"0.00000015"``."""
    whole, fraction = divmod(pico, _PICO_PER_USD)
    digits = f"{fraction:012d}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
