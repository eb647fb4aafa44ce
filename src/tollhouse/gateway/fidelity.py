"""What of a request its target does not honour, and what is done about that: refused, reported, or let be. Pure.

The policy is the client's (``x-tollhouse-fidelity: strict``), else the operator's (``routing.fidelity``). What is
``emulated`` is honoured, by other means: it is reported, and never refused.
"""

from typing import Final

from tollhouse.errors import InvalidRequest, UpstreamUnfit
from tollhouse.settings.routing import FIDELITIES
from tollhouse.types.calls import Loss, Target
from tollhouse.web.heads import header_line

HEADER: Final = "x-tollhouse-fidelity"
_HEADER: Final = HEADER.encode()
_HEADER_CHARS: Final = 1024


def read_policy(headers: dict[bytes, bytes], default: str) -> str:
    """The policy of one request. Raises `InvalidRequest`."""
    given = headers.get(_HEADER)
    if given is None:
        return default
    policy = given.decode("latin-1").strip().lower()
    if policy not in FIDELITIES:
        raise InvalidRequest(f"The header {HEADER} is one of: {', '.join(FIDELITIES)}.", param=HEADER)
    return policy


def refuse_losses(losses: tuple[Loss, ...], target: Target) -> None:
    """Raises `UpstreamUnfit` for what a target does not honour: another one may."""
    for loss in losses:
        if loss.how != "emulated":
            why = f": {loss.why}" if loss.why else ""
            message = f"The target '{target.id}' does not honour '{loss.param}'{why}."
            raise UpstreamUnfit(message, param=loss.param)


def fidelity_lines(losses: tuple[Loss, ...], policy: str) -> str:
    """The header lines that say what was not honoured: ``full``, or ``temperature=changed; seed=dropped``."""
    if policy == "drop":
        return ""
    if not losses:
        return "x-tollhouse-fidelity: full\r\n"
    dropped = [loss.param for loss in losses if loss.how == "dropped"]
    lines = header_line(HEADER, _joined([f"{loss.param}={loss.how}" for loss in losses], "; "))
    return lines + (header_line("x-tollhouse-dropped-params", _joined(dropped, ", ")) if dropped else "")


def _joined(words: list[str], between: str) -> str:
    """As many of the words as fit into one header, and how many there are beside."""
    text = between.join(words)
    if len(text) <= _HEADER_CHARS:
        return text
    kept = text[:_HEADER_CHARS].rpartition(between)[0]
    return f"{kept}{between}+{len(words) - kept.count(between) - 1}"
