"""The list of models as Anthropic's clients read it: ModelInfo objects in pages. Used by `gateway.models`.

https://platform.claude.com/docs/en/api/models/list
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from tollhouse.errors import InvalidRequest
from tollhouse.gateway.count_tokens import ERRORS
from tollhouse.types.calls import ModelFacts, Target
from tollhouse.web.exchange import Exchange

_VERSION = b"anthropic-version"
_MOST = 1000
_EPOCH = "1970-01-01"
"""What Anthropic tells where it does not know the day."""


def heed_version(exchange: Exchange) -> bool:
    """Whether a client speaks Anthropic's dialect, by the header that all of its SDKs send. If so, errors do too."""
    if _VERSION not in exchange.headers:
        return False
    exchange.speak(ERRORS)
    return True


def page_of(query: bytes, listed: Mapping[str, tuple[Target, ...]]) -> dict[str, Any]:
    """One page of these models: ``limit`` of them, ``after_id`` or before ``before_id``. Raises `InvalidRequest`."""
    names = list(listed)
    asked = {name: values[-1] for name, values in parse_qs(query.decode("latin-1")).items()}
    limit = _limit(asked.get("limit"))
    first = names.index(asked["after_id"]) + 1 if asked.get("after_id") in names else 0
    if (before := asked.get("before_id")) in names and before is not None:
        last = names.index(before)
        first = max(0, last - limit)
        more = first > 0
    else:
        last = first + limit
        more = last < len(names)
    shown = names[first:last]
    return {
        "data": [describe_model(name, listed[name]) for name in shown],
        "has_more": more,
        "first_id": shown[0] if shown else None,
        "last_id": shown[-1] if shown else None,
    }


def describe_model(name: str, targets: tuple[Target, ...]) -> dict[str, Any]:
    """One ModelInfo, of the first target. What the catalogue does not tell is null."""
    target = targets[0]
    facts = target.facts or ModelFacts(target.model, target.model)
    return {
        "type": "model",
        "id": name,
        "display_name": facts.name,
        "created_at": f"{_day(facts.released_on)}T00:00:00Z",
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "max_input_tokens": facts.context_tokens,
        "max_tokens": facts.output_tokens,
        "capabilities": None,
    }


def _day(released_on: str | None) -> str:
    """A catalogue's date, which may be a month or a year, as a day."""
    parts = (released_on or _EPOCH).split("-")
    return "-".join([*parts, "01", "01"][:3])


def _limit(given: str | None) -> int:
    if given is None:
        return _MOST
    if not given.isdecimal() or not 1 <= int(given[:9]) <= _MOST:
        raise InvalidRequest(f"'limit' is an integer from 1 to {_MOST}.", param="limit")
    return int(given)
