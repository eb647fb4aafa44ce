"""Holds: the bracket around every attempt at an upstream.

`Ledger.reserve` opens a hold before anything is sent; the pipeline's exit resolves it, by `settle` with what was
metered or by `release` when nothing was delivered. Both are synchronous, so no cancellation can come between a
client's disconnect and its settlement. A hold resolves once; a second resolution is a bug and raises.

A hold has no price yet: any reserve succeeds, and what settles is counted in tokens.
"""

from typing import Protocol

from tollhouse.types.calls import Plan, Principal, Target, Usage


class Hold:
    """One logical request, however many attempts it takes."""

    __slots__ = ("_ledger", "plan", "principal", "request_id", "state")

    def __init__(self, ledger: "Ledger", request_id: str, principal: Principal, plan: Plan) -> None:
        self._ledger = ledger
        self.request_id = request_id
        self.principal = principal
        self.plan = plan
        self.state = "open"

    def settle(self, target: Target, usage: Usage) -> None:
        """Something was delivered. ``usage`` is what the answer of ``target`` took."""
        self._resolve("settled")
        self._ledger.meter.record(target, usage)

    def release(self) -> None:
        """Nothing was delivered, nothing is due."""
        self._resolve("released")

    @property
    def open(self) -> bool:
        """Whether the hold is still to be resolved."""
        return self.state == "open"

    def _resolve(self, state: str) -> None:
        if self.state != "open":
            raise RuntimeError(f"hold {self.request_id} is {self.state} already")
        self.state = state
        self._ledger.open_holds -= 1


class Meter(Protocol):
    """Receives what settles."""

    def record(self, target: Target, usage: Usage) -> None:
        """Counts the usage of one answer."""


class Ledger:
    """Opens holds and knows how many are open."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.open_holds = 0

    def reserve(self, request_id: str, principal: Principal, plan: Plan) -> Hold:
        """Opens the hold of one request."""
        self.open_holds += 1
        return Hold(self, request_id, principal, plan)
