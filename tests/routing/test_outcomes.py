"""Whose fault a failure is."""

import pytest

from tollhouse import errors
from tollhouse.routing.outcomes import FINAL, KEY_FAULTS, SERVICE_FAULTS, UNSENT, Outcome, classify


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (errors.UpstreamUnreachable("x"), Outcome.UNREACHABLE),
        (errors.UpstreamDns("x"), Outcome.UNREACHABLE),
        (errors.UpstreamTls("x"), Outcome.UNREACHABLE),
        (errors.UpstreamTimeout("x"), Outcome.TIMEOUT),
        (errors.UpstreamStalled("x"), Outcome.TIMEOUT),
        (errors.UpstreamInterrupted("x"), Outcome.BROKEN),
        (errors.UpstreamProtocol("x"), Outcome.BROKEN),
        (errors.UpstreamTooLarge("x"), Outcome.BROKEN),
        (errors.UpstreamRedirect("x"), Outcome.BROKEN),
        (errors.UpstreamBadResponse("x"), Outcome.BROKEN),
        (errors.UpstreamFault("x"), Outcome.SERVER),
        (errors.UpstreamAuth("x"), Outcome.AUTH),
        (errors.UpstreamRateLimited("x"), Outcome.RATE),
        (errors.UpstreamUnavailable("x"), Outcome.OVERLOAD),
        (errors.UpstreamQuota("x"), Outcome.QUOTA),
        (errors.UpstreamRejected("x", status=400), Outcome.CLIENT),
        (errors.UpstreamRejected("x", status=400, code="context_length_exceeded"), Outcome.TOO_LONG),
        (errors.UpstreamUnfit("x"), Outcome.UNFIT),
        (errors.UpstreamModelMissing("x", status=404), Outcome.MISSING),
    ],
)
def test_every_fault_has_one(fault: errors.UpstreamFault, outcome: Outcome) -> None:
    """Each class of fault, and each code that says more, is one outcome."""
    assert classify(fault) is outcome


def test_errors_of_the_request_harm_nobody() -> None:
    """No outcome that the client's request caused is among those that open a circuit or spare a key."""
    innocent = {
        Outcome.BAD_JSON,
        Outcome.OK,
        Outcome.CANCELLED,
        Outcome.CLIENT,
        Outcome.TOO_LONG,
        Outcome.MISSING,
        *UNSENT,
        *FINAL,
    }
    assert not innocent & (KEY_FAULTS | SERVICE_FAULTS)
    assert innocent | KEY_FAULTS | SERVICE_FAULTS == set(Outcome)
