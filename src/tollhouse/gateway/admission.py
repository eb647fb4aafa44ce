"""Cheap refusals, before the body of a request is parsed."""

from tollhouse.errors import Overloaded
from tollhouse.types.calls import Principal


class Admission:
    """How much the gateway takes on at once."""

    def __init__(self, max_in_flight: int) -> None:
        self.max_in_flight = max_in_flight
        self.in_flight = 0

    def admit(self, principal: Principal) -> None:
        """Takes a slot, which `leave` gives back. Raises `Overloaded`, taking nothing."""
        del principal  # limits per key are read here
        if self.in_flight >= self.max_in_flight:
            raise Overloaded("The gateway is serving as many requests as it may.", headers={"retry-after": "1"})
        self.in_flight += 1

    def leave(self) -> None:
        """Gives a slot back."""
        self.in_flight -= 1
