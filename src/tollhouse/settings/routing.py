"""The settings of routing: ``[routing]``, and what an alias of ``[models]`` may say beside its targets.

`settings.keys` lists the section, `settings.aliases` reads the aliases, `routing` obeys both. Each default names its
precedent: what Envoy, gRPC, Finagle, Hystrix, HAProxy, AWS or Google's SRE book settled on.
"""
# ruff: noqa: RUF009  `key` is `dataclasses.field` with metadata: it builds no shared value

from dataclasses import dataclass
from decimal import Decimal

from msgspec import Struct

from tollhouse.settings.reading import key

STRATEGIES = ("priority", "weighted", "latency", "cost", "round-robin", "auto")
PREFERENCES = ("balanced", "price", "speed", "quality")
FIDELITIES = ("strict", "report", "drop")
MID_STREAM = "mid-stream"


@dataclass(frozen=True, slots=True)
class Routing:
    """Which target a request goes to, and what happens when one fails. An alias may state some of it for itself."""

    fidelity: str = key(
        "report",
        "parameters that a target does not honour: refuse the request, say so in the answer, or say nothing",
        choices=FIDELITIES,
    )
    max_tries: int = key(
        4,
        "requests sent upstream for one of a client's, retries included; gRPC allows at most 5, Google SRE 3 retries",
        least=1,
        most=16,
    )
    same_target_retries: int = key(
        1, "times that a target is asked again where no other is left; Envoy's num_retries", least=0, most=16
    )
    retry_budget_ratio: float = key(
        0.2, "retries and failovers, as a share of the requests; Finagle's and Envoy's 20 %", least=0, most=10
    )
    retry_min_rate: float = key(
        10.0,
        "retries allowed however few requests there are; Finagle's minRetriesPerSec",
        unit="1/s",
        least=0,
        most=1e4,
    )
    retry_window_s: float = key(10.0, "over which both are counted; Finagle's RetryBudget", unit="s", least=1, most=600)
    backoff_base_s: float = key(
        0.1, "longest wait before the first retry of one target; full jitter as AWS has it", unit="s", least=0, most=60
    )
    backoff_max_s: float = key(
        1.0, "longest wait before any retry; gRPC's maxBackoff in its guide", unit="s", least=0, most=600
    )
    breaker_failures: int = key(5, "failures in a row that open a circuit; Envoy's consecutive_5xx", least=1, most=1000)
    breaker_ratio: float = key(
        0.5, "share of failures above which a circuit opens; Hystrix' errorThresholdPercentage", least=0.01, most=1
    )
    breaker_samples: int = key(
        20, "answers that the share is taken of; Hystrix' requestVolumeThreshold", least=2, most=60
    )
    breaker_window_s: float = key(
        10.0, "answers are forgotten after a silence of this; Hystrix' rolling window", unit="s", least=0.1, most=3600
    )
    breaker_open_s: float = key(
        1.0,
        "a circuit stays open at first, and twice as long each time; gRPC's first backoff",
        unit="s",
        least=0.05,
        most=600,
    )
    breaker_open_max_s: float = key(
        5.0, "a circuit stays open at most; Hystrix' sleepWindow", unit="s", least=0.05, most=3600
    )
    breaker_probes: int = key(
        2, "answers in a row, one at a time, that close a circuit; HAProxy's rise", least=1, most=100
    )
    cooldown_base_s: float = key(
        1.0,
        "after a 429 without Retry-After, and twice as long each time; AWS' backoff",
        unit="s",
        least=0.05,
        most=600,
    )
    cooldown_max_s: float = key(
        60.0, "longest a Retry-After is obeyed; the OpenAI SDK's limit", unit="s", least=0.05, most=86_400
    )
    key_bad_s: float = key(
        60.0,
        "a key that its host refuses, or whose quota is gone, is left alone; twice Envoy's base ejection",
        unit="s",
        least=1,
        most=86_400,
    )
    ejection_ratio: float = key(
        0.3, "share of failures that puts a target behind the others; Envoy's 0.85 takes it out", least=0.01, most=1
    )
    ejection_s: float = key(
        30.0, "for how long, and longer each time; Envoy's base_ejection_time", unit="s", least=0.1, most=3600
    )
    ejection_max_s: float = key(
        300.0, "for how long at most; Envoy's max_ejection_time", unit="s", least=0.1, most=86_400
    )
    ejection_max_share: float = key(
        0.5, "of a name's targets, put behind at most; Envoy panics when half are left", least=0, most=1
    )
    latency_decay_s: float = key(
        10.0, "half-forgotten latency: the decay of Finagle's peak EWMA", unit="s", least=0.1, most=3600
    )
    hedge_percentile: float = key(
        0.95,
        "of recent first tokens: one that is later is hedged; Dean and Barroso, The Tail at Scale",
        least=0.5,
        most=0.999,
    )
    hedge_max_share: float = key(0.05, "of requests hedged; what The Tail at Scale spends", least=0, most=1)
    hedge_min_s: float = key(0.1, "earliest a request is hedged", unit="s", least=0, most=600)
    hedge_samples: int = key(20, "first tokens seen of a target before its requests are hedged", least=1, most=128)
    auto_prefer: str = key("balanced", "what tollhouse/auto goes by where nobody says", choices=PREFERENCES)
    auto_allow: tuple[str, ...] = key((), 'the only models of tollhouse/auto: "host/model", a star for anything')
    auto_deny: tuple[str, ...] = key((), "never a model of tollhouse/auto")
    auto_max_output_usd_per_1m: float = key(
        40.0, "dearest answer of tollhouse/auto; 0 for any", unit="USD/1M tokens", least=0, most=1_000_000
    )


@dataclass(frozen=True, slots=True)
class AliasKeys:
    """An alias written as a table; ``targets`` lists names, or tables { model, weight, priority }."""

    strategy: str = key(
        "priority",
        "which target is tried first: as listed, by chance and weight, the fastest of two (P2C over a peak EWMA, as "
        "Finagle), the cheapest, in turn, or by what the request needs",
        choices=STRATEGIES,
    )
    sticky: str = key(
        "",
        "keeps a conversation with one target and key, for its prompt cache (rendezvous hashing)",
        choices=("", "conversation"),
    )
    hedge: bool = key(False, "ask a second target when the first token is late (The Tail at Scale)")
    failover: str = key(
        "",
        "mid-stream: an answer that breaks off is continued by the next target that can",
        choices=("", MID_STREAM),
    )
    fidelity: str = key("", "as in [routing]; by default what that says", choices=("", *FIDELITIES))
    max_tries: int = key(0, "as in [routing]; 0 takes what that says", least=0, most=16)
    prefer: str = key("", "what auto goes by; by default [routing] auto_prefer", choices=("", *PREFERENCES))
    allow: tuple[str, ...] = key((), 'the only models of auto: "host/model", a star for anything')
    deny: tuple[str, ...] = key((), "never a model of auto")
    safety: str = key("", "policy of [safety] for what is asked of this name: the strictest of all counts")
    max_input_usd_per_1m: Decimal = key(
        None, "targets whose prompt tokens cost more are left out", unit="USD/1M tokens", least=0, most=1_000_000
    )
    max_output_usd_per_1m: Decimal = key(
        None, "targets whose answer tokens cost more are left out", unit="USD/1M tokens", least=0, most=1_000_000
    )


@dataclass(frozen=True, slots=True)
class TargetKeys:
    """One of the targets of an alias, written as a table."""

    model: str = key("", 'its name: "host/model", "model#host", or a model\'s name')
    weight: int = key(
        1, "its share, for weighted and sticky; 0 is only tried when the others fail", least=0, most=1_000_000
    )
    priority: int = key(0, "lower is tried first, as in Envoy; the strategy chooses among equals", least=0, most=1000)


class RouteEntry(Struct, frozen=True):
    """One target of an alias, as it is written."""

    target: str
    weight: int = 1
    priority: int = 0


class RoutePolicy(Struct, frozen=True):
    """How a name's targets are tried. Fields as in `AliasKeys`; the prices are pico-USD per token."""

    entries: tuple[RouteEntry, ...] = ()
    strategy: str = "priority"
    sticky: str = ""
    hedge: bool = False
    failover: str = ""
    fidelity: str = ""
    max_tries: int = 0
    prefer: str = ""
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    max_input_pusd: int | None = None
    max_output_pusd: int | None = None
    safety: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether an answer that breaks off may go on at another target."""
        return self.failover == MID_STREAM


DEFAULT_POLICY = RoutePolicy()
"""Of a name that is no alias."""
