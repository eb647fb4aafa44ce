"""The question that `routing.decide` answers, and one line of its answer."""

from msgspec import Struct

from tollhouse.routing.features import Features
from tollhouse.routing.table import Route
from tollhouse.routing.tracks import Trouble
from tollhouse.routing.wishes import NONE, Wishes
from tollhouse.types.calls import Target

_NOTHING: dict[int, str] = {}
Skipped = dict[tuple[int, int], Trouble | str]
"""Why a candidate was passed by: by its position and the slot of its key (-1 for all), a trouble or a code."""


class RouteRequest(Struct, frozen=True):
    """One question. ``seed`` is 64 bits of chance; with the same seed and health the answer is the same."""

    route: Route
    now: float
    seed: int = 0
    features: Features = Features()
    wishes: Wishes = NONE
    limit: int = 3
    """Targets wanted; those with several keys count once."""
    sticky_key: int = 0
    """`routing.sticky.conversation_key`, where the policy is sticky."""
    turn: int = 0
    """`Health.next_turn`, for round-robin."""
    difficulty: float = 0.0
    """From 0 to 1, where `Route.wants_difficulty`."""
    bound: bool = False
    """Whether the allow list of ``wishes`` is what the caller's key may use, and no wish."""
    barred: dict[int, str] = _NOTHING
    """Positions of candidates that cannot serve this kind of request, and a code."""


class Pick(Struct, frozen=True):
    """One target to try."""

    target: Target
    at: int
    """Its candidate's position at the route."""
    code: str
    """Why it is where it is: see `reasons.CHOSEN`."""
    probe: bool = False
    """Whether it finds out if a circuit may close."""
