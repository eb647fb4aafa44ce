"""What personal data a text holds: `find` runs the detectors of the kinds that are asked for. Pure.

Policies that refuse personal data need no more; `vault` masks what is found. Every detector reads a text in linear time
whatever it is: patterns are bounded or possessive, and begin where nothing of theirs precedes.
"""

from collections.abc import Callable, Iterable, Iterator

from tollhouse.safety.personal.accounts import scan_cards, scan_ibans, scan_ssns
from tollhouse.safety.personal.addresses import scan_emails, scan_ips
from tollhouse.safety.personal.credentials import scan_credentials
from tollhouse.safety.personal.folding import fold
from tollhouse.safety.personal.kinds import DEFAULT_KINDS, KINDS, Found
from tollhouse.safety.personal.phones import scan_phones
from tollhouse.safety.personal.stretches import Span, find_stretches

_SCANNERS: dict[str, Callable[[str], Iterator[Span]]] = {
    "secret": scan_credentials,
    "email": scan_emails,
    "iban": scan_ibans,
    "ip": scan_ips,
}
_NUMBER_SCANNERS: dict[str, Callable[[str, list[Span]], Iterator[Span]]] = {
    "card": scan_cards,
    "ssn": scan_ssns,
    "phone": scan_phones,
}
_WITHOUT_DIGITS = {"email": "@", "secret": "://", "ip": ":"}
"""Kinds that a text without a digit may hold, and what it holds then."""
_RANK = {name: rank for rank, name in enumerate(KINDS)}
_LEAST_CHARS = 5


def find(text: str, kinds: Iterable[str] = DEFAULT_KINDS) -> list[Found]:
    """The personal data of these kinds (names in `KINDS`) in a text, in order; no two overlap."""
    if len(text) < _LEAST_CHARS:
        return []
    folded = fold(text)
    digits = any(digit in folded for digit in "0123456789")
    stretches = find_stretches(folded) if digits else []
    spans: list[tuple[int, int, str]] = []
    for kind in kinds:
        if kind in _NUMBER_SCANNERS:
            spans += [(*span, kind) for span in _NUMBER_SCANNERS[kind](folded, stretches)] if stretches else ()
        elif digits or _WITHOUT_DIGITS.get(kind, "0") in folded:
            spans += [(*span, kind) for span in _SCANNERS[kind](folded)]
    return _apart(spans) if len(spans) > 1 else [Found(kind, start, end) for start, end, kind in spans]


def _apart(spans: list[tuple[int, int, str]]) -> list[Found]:
    """Spans made disjoint: of two that overlap the first, or longer, stands, and takes in what the other has more."""
    spans.sort(key=lambda span: (span[0], -span[1], _RANK[span[2]]))
    found: list[tuple[int, int, str]] = []
    for start, end, kind in spans:
        if found and start < found[-1][1]:
            before = found[-1]
            found[-1] = (before[0], max(before[1], end), before[2])
        else:
            found.append((start, end, kind))
    return [Found(kind, start, end) for start, end, kind in found]
