"""``tollhouse/auto``: models ranked for what a request needs, by quality, price and speed. Pure.

Theory of operation
-------------------
Everything that a request does not change is a column, filled once for a snapshot. A request asks for one of few orders:
by what it needs, what is preferred, and its difficulty in tenths. Each order is worked out when it is first asked for
and kept, so that a decision walks down a list and stops at the first few that fit its context and are well. Among the
best of these, the measured speed moves the score. The score of a model is

    fit * -shortfall + quality * q + cheap * c + fast * f

``q`` is its quality (`routing.quality`, 0 to 1), ``shortfall`` how far that is below what the difficulty calls for,
``c`` how cheap it is and ``f`` how fast it is likely to be, both from 0 to 1; the weights stand in `WEIGHTS`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct

from tollhouse.catalog.names import Offer
from tollhouse.routing import abilities
from tollhouse.routing.candidates import Candidate
from tollhouse.routing.quality import Prior, price_share, prior
from tollhouse.types.calls import Host, ModelFacts

AUTO = "tollhouse/auto"
AUTO_OFFER = Offer(
    Host(AUTO, "", auth="none", label="Tollhouse", free=True),
    MappingProxyType(
        {AUTO: ModelFacts(AUTO, "Tollhouse Auto", input_kinds=("text", "image", "audio", "pdf", "video"), tools=True)}
    ),
    closed=True,
)
"""It makes the name mean something, and is listed. No request is sent there: `decide` puts models in its place."""


class Weights(Struct, frozen=True):
    """How much each part of the score counts."""

    fit: float
    quality: float
    cheap: float
    fast: float


WEIGHTS: Mapping[str, Weights] = {
    "balanced": Weights(fit=3.0, quality=0.35, cheap=0.5, fast=0.15),
    "price": Weights(fit=1.5, quality=0.05, cheap=1.0, fast=0.05),
    "speed": Weights(fit=1.5, quality=0.05, cheap=0.1, fast=1.0),
    "quality": Weights(fit=3.0, quality=1.5, cheap=0.15, fast=0.05),
}
LEAST_QUALITY = 0.30
MOST_QUALITY = 0.80
"""What the easiest and the hardest request call for."""
_REASONING_SLOWS = 0.3
_NOT_CHAT = (
    *("embed", "rerank", "moderation", "-guard", "guard-", "whisper", "transcri", "-tts", "tts-", "deep-research"),
    *(
        "-realtime",
        "-audio",
        "-live-",
        "computer-use",
        "-ocr",
        "ocr-",
        "-search-preview",
        "-image",
        "image-",
        "lyria",
        "veo-",
    ),
)
"""Parts of the names of models that do not chat, or not in text; the catalogue does not mark them."""
_MOST_ORDERS = 512


def chats(candidate: Candidate) -> bool:
    """Whether a model can serve a chat, as far as its facts and name tell."""
    facts = candidate.target.facts
    if facts is None or "text" not in facts.output_kinds or "image" in facts.output_kinds:
        return False
    if not candidate.output_pusd and (facts.output_tokens or 0) <= 4096 and candidate.input_pusd:
        return False  # embeddings: their answers are free
    name = candidate.target.model.lower()
    return not any(part in name for part in _NOT_CHAT)


class Order(Struct, frozen=True):
    """Positions in the table, the best first, and their scores."""

    at: tuple[int, ...]
    scores: tuple[float, ...]


class AutoTable:
    """The columns of the models that may be chosen."""

    __slots__ = ("_orders", "cheap", "fast", "members", "priors")

    def __init__(self, members: Mapping[int, Candidate]) -> None:
        """``members`` are the candidates by their position at the route."""
        self.members = members
        newest = max([c.target.facts.released_on or "" for c in members.values() if c.target.facts], default="")
        dearest: dict[str, int] = {}
        for one in members.values():
            name = _family(one)
            dearest[name] = max(dearest.get(name, 0), one.output_pusd or 0)
        self.priors: dict[int, Prior] = {
            at: prior(one.target.facts, newest, dearest[_family(one)])
            for at, one in members.items()
            if one.target.facts is not None
        }
        self.cheap = {
            at: 1.0 if one.blended_pusd == 0 else 1.0 - price_share(one.blended_pusd) for at, one in members.items()
        }
        self.fast = {
            at: self.cheap[at] * (1.0 - _REASONING_SLOWS) + (0.0 if one.has & abilities.REASONING else _REASONING_SLOWS)
            for at, one in members.items()
        }
        self._orders: dict[tuple[int, str, int], Order] = {}

    def order(self, need: int, prefer: str, tenths: int) -> Order:
        """The models for a need (bits of `abilities`), a preference, and a difficulty in tenths: first those known to
        have it all, then those that may; those that lack any of it only where there is no other.
        """
        key = (need, prefer, tenths)
        found = self._orders.get(key)
        if found is None:
            if len(self._orders) >= _MOST_ORDERS:
                self._orders.clear()
            found = self._orders[key] = self._rank(need, prefer, tenths)
        return found

    def _rank(self, need: int, prefer: str, tenths: int) -> Order:
        weights = WEIGHTS[prefer]
        wanted = LEAST_QUALITY + (MOST_QUALITY - LEAST_QUALITY) * tenths / 10.0
        rows = []
        for at, one in self.members.items():
            lacks = (need & ~one.may).bit_count()
            tier = 0 if not need & ~one.has else 1 if not lacks else 1 + lacks
            rows.append((tier, -self._score(at, weights, wanted), at))
        rows.sort()
        if rows and rows[0][0] <= 1:
            rows = [row for row in rows if row[0] <= 1]
        return Order(tuple([row[2] for row in rows]), tuple([-row[1] for row in rows]))

    def _score(self, at: int, weights: Weights, wanted: float) -> float:
        known = self.priors.get(at)
        quality = known.points / 100.0 if known is not None else LEAST_QUALITY
        shortfall = max(wanted - quality, 0.0)
        return (
            weights.quality * quality
            + weights.cheap * self.cheap[at]
            + weights.fast * self.fast[at]
            - weights.fit * shortfall
        )


def measured(prefer: str, score: float, prior_fast: float, latency_s: float) -> float:
    """A score once the speed is measured: ``latency_s`` is the average first token; 0 leaves the prior."""
    if latency_s <= 0.0:
        return score
    return score + max(WEIGHTS[prefer].fast, 0.1) * (1.0 / (1.0 + latency_s) - prior_fast)


def _family(candidate: Candidate) -> str:
    """A model's name without its maker and punctuation: the same at every host that sells it."""
    name = candidate.target.model.lower().rpartition("/")[2].partition(":")[0]
    return name.replace(".", "-").replace("_", "-")


def best(positions: Sequence[int], table: AutoTable) -> float:
    """The highest quality among some positions, from 0 to 100."""
    return max([table.priors[at].points for at in positions if at in table.priors], default=0.0)
