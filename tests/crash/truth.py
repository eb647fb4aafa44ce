"""What the clients of the rig saw: the other side of the ledger, which no crash touches."""

from dataclasses import dataclass, field

from tests.crash.upstream import Job

REPLAYED = "x-tollhouse-original-request-id"


@dataclass(slots=True)
class Try:
    """One request. ``whole`` is set once all of its answer is there; ``of`` names the request it was a replay of."""

    request_id: str
    job: Job
    whole: bool = False
    received: int = 0
    """Words that came of an answer that broke off."""
    refused: bool = False
    """The budget would not bear it."""
    of: str | None = None


@dataclass(slots=True)
class Named:
    """One piece of work under an ``Idempotency-Key``, tried until there is an answer."""

    name: str
    job: Job
    stream: bool
    tries: list[Try] = field(default_factory=list)
    lost: bool = False
    """The gateway said that it was paid for and that its answer is gone."""

    @property
    def settled(self) -> bool:
        """Whether it needs no further try."""
        return self.lost or any(one.whole for one in self.tries)


@dataclass(slots=True)
class Payment:
    """A top-up of so many cents: by Stripe's event, or an admin's grant. ``acknowledged`` is whether a 200 was seen."""

    id: str
    source: str
    cents: int
    acknowledged: bool = False


@dataclass(slots=True)
class Truth:
    """Everything that was asked. ``tries`` are those since the last judgement."""

    tries: list[Try] = field(default_factory=list)
    tight: list[Try] = field(default_factory=list)
    """Those of the key with a small budget."""
    named: list[Named] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    """Answers that nothing explains."""
    acknowledged: int = 0
