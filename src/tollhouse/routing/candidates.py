"""The targets of a name as `decide` looks at them: all about them that a request does not change, worked out once for a
snapshot. Made by `routing.table`.
"""

from collections.abc import Mapping

from msgspec import Struct

from tollhouse.routing import abilities
from tollhouse.routing.sticky import digest
from tollhouse.settings.urls import is_loopback
from tollhouse.types.calls import Host, Prices, Target

UNBOUNDED_TOKENS = 1 << 40
"""The context of a model of which none is known: nobody is turned away."""
EMBEDDED = "tollhouse"
_INPUT_SHARE = 3
"""Of four tokens, three are the prompt's: the blend by which models are commonly compared (Artificial Analysis)."""


class Candidate(Struct, frozen=True, eq=False):
    """One target of a name. Prices are pico-USD per token; None where there is no figure."""

    target: Target
    variants: tuple[Target, ...]
    """The target once for each key of its host."""
    host: str
    id: str
    has: int
    """`abilities` that it is known to have."""
    may: int
    """The same, and those of which nothing is known."""
    context_tokens: int
    digest: int
    input_pusd: int | None
    output_pusd: int | None
    weight: float = 1.0
    priority: int = 0

    @property
    def blended_pusd(self) -> int | None:
        """One price of both."""
        if self.input_pusd is None or self.output_pusd is None:
            return None
        return (_INPUT_SHARE * self.input_pusd + self.output_pusd) // (_INPUT_SHARE + 1)

    @property
    def is_free_offer(self) -> bool:
        """Whether only the catalogue says that it is free: such offers are small, and often paid for with prompts."""
        facts = self.target.facts
        free = self.blended_pusd == 0 and facts is not None and facts.released_on is not None
        return free and facts is not None and facts.prices_from != "config" and not self.target.host.free

    @property
    def is_toy(self) -> bool:
        """Whether it is one of the models that ship inside Tollhouse."""
        return self.host.partition("/")[0] == EMBEDDED


def make_candidate(
    target: Target, slots: Mapping[str, tuple[Host, ...]], weight: float = 1.0, priority: int = 0
) -> Candidate:
    """The candidate of a target; ``slots`` are a host's rows for its further keys."""
    host, facts = target.host, target.facts
    further = [Target(other, target.model, facts) for other in slots.get(host.name, ())]
    has = abilities.has(facts)
    may = has | abilities.may_have(facts, complete=host.name.partition("/")[0] == EMBEDDED)
    input_pusd, output_pusd = _prices(target)
    return Candidate(
        target=target,
        variants=(target, *further),
        host=host.name,
        id=target.id,
        has=has,
        may=may,
        context_tokens=(facts.context_tokens if facts is not None else None) or UNBOUNDED_TOKENS,
        digest=digest(target.id),
        input_pusd=input_pusd,
        output_pusd=output_pusd,
        weight=weight,
        priority=priority,
    )


def _prices(target: Target) -> tuple[int | None, int | None]:
    """What prompt and answer tokens cost there, as `ledger.pricebook` has it but for what operators set at run time."""
    host, facts = target.host, target.facts
    prices = facts.prices if facts is not None else Prices()
    stated = facts is not None and facts.prices_from == "config"
    if host.free and not stated:
        return 0, 0
    if prices.input is None and prices.output is None and host.free is None and is_loopback(host.base_url):
        return 0, 0
    return prices.input, prices.output
