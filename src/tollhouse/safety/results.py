"""What a client is told of the safety of a text, in the shape of Azure's annotations.

`safety.policy` builds these objects with a decision, `dialects` and `gateway` put them into answers. The shape
(https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter-annotations): a harm is
``{filtered, severity}``, a detection ``{filtered, detected}``, lists and topics carry ``details``. Three members are
ours. ``origin`` says who found the worst of a category where that was not the local classifier. ``detector: "off"``,
with ``detected: null``, says that nobody looked: it is never said to be safe. ``error`` tells of judges that did not
answer.

The objects are shared between answers: nobody may change one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from tollhouse.safety.licences import URLS
from tollhouse.safety.personal.kinds import KINDS
from tollhouse.types.safety import (
    COMPLETION,
    DETECTIONS,
    HARMS,
    HIGH,
    LOCAL,
    LOW,
    PROMPT,
    SAFE,
    SEVERITIES,
    Finding,
    Verdict,
)
from tollhouse.types.values import Value

Results = dict[str, Any]
"""``content_filter_results``: an object for each category. Not to be changed."""

BLOCKLISTS, TOPICS, PERSONAL = "custom_blocklists", "custom_topics", "personally_identifiable_information"
UPSTREAM: Final = "upstream"
CODE: Final = "protected_material_code"
INDIRECT: Final = "indirect_attack"
DETAILED: Final[Mapping[str, str]] = {BLOCKLISTS: "filtered", TOPICS: "detected"}
"""Categories that say of each list or topic whether it was filtered, or detected."""
ASIDE: Final[Mapping[str, frozenset[str]]] = {
    PROMPT: frozenset({"protected_material_text", CODE}),
    COMPLETION: frozenset({"jailbreak", INDIRECT}),
}
"""What is not looked for in a prompt, and not in a completion."""
_ORDER: Final[Mapping[str, tuple[str, ...]]] = {
    side: tuple(name for name in (*HARMS, *DETECTIONS) if name not in aside) for side, aside in ASIDE.items()
}
_FAILED_CODE: Final = 503
_OURS: Final = frozenset({"origin", "detector"})
"""Members of ours: an upstream may be another Tollhouse, whose detectors are not these."""
MAX_DETAILS: Final = 100
"""Entries of an upstream's details that become findings; all of them are passed on."""


class Shape(Value, frozen=True):
    """Which members the results of a policy have on one side, whatever is found."""

    side: str
    off: frozenset[str] = frozenset()
    """Detectors that are off."""
    blocklists: bool = False
    topics: bool = False
    personal: bool = False
    masked: frozenset[str] = frozenset()
    """Kinds of personal data that are masked."""


class Upstream(Value, frozen=True):
    """What an upstream reported of one prompt or one choice."""

    verdict: Verdict
    filtered: frozenset[str] = frozenset()
    """The categories that it filtered."""
    raw: Mapping[str, Any] = {}
    """Its own objects, by category."""


# --- what is told ------------------------------------------------------------------------------------------------


def told(
    shape: Shape,
    verdict: Verdict,
    filtered: Iterable[Finding] = (),
    upstream: Upstream | None = None,
    missing: Sequence[str] = (),
) -> Results:
    """The results of a verdict, of which some findings are filtered. ``missing`` are judges that did not answer, and
    without which nothing passes.
    """
    by_category: dict[str, list[Finding]] = {}
    for finding in verdict.findings:
        if finding.category not in ASIDE[shape.side]:
            by_category.setdefault(finding.category, []).append(finding)
    barred = tuple(filtered)
    results = {name: _plain(name, shape, by_category.pop(name, ()), barred) for name in _ORDER[shape.side]}
    for name, wanted in ((BLOCKLISTS, shape.blocklists), (TOPICS, shape.topics)):
        if wanted or name in by_category:
            results[name] = _detailed(name, by_category.pop(name, ()), barred)
    if shape.personal or PERSONAL in by_category:
        results[PERSONAL] = _personal(by_category.pop(PERSONAL, ()), barred, shape.masked)
    for name, findings in by_category.items():
        if upstream is not None and name in upstream.raw:  # a category that only others know is told in their words
            results[name] = {"filtered": _any(findings, barred), "origin": UPSTREAM}
        else:
            results[name] = _detection(findings, barred)
    if upstream is not None:
        _merge(results, upstream)
    if verdict.failed:
        results["error"] = {"code": _FAILED_CODE, "message": _failure(verdict.failed, missing)}
    return results


def _failure(failed: Sequence[str], missing: Sequence[str]) -> str:
    """Who did not answer, and whether that is why nothing was let through."""
    message = f"Did not answer: {', '.join(failed)}."
    return f"{message} Nothing passes without a verdict from: {', '.join(missing)}." if missing else message


def prompt_filter_results(results: Results | msgspec.Raw) -> list[Results]:
    """The root member of an answer that tells of its prompt."""
    return [{"prompt_index": 0, "content_filter_results": results}]


def _plain(name: str, shape: Shape, findings: Iterable[Finding], barred: tuple[Finding, ...]) -> Results:
    found = list(findings)
    if name in HARMS:
        worst = _worst(found)
        level = SAFE if worst is None else worst.level
        return {"filtered": _any(found, barred), "severity": SEVERITIES[level], **_origin(worst)}
    if name in shape.off and not found:
        return {"filtered": False, "detected": None, "detector": "off"}
    worst = _worst(found)
    cited = {} if worst is None or worst.detail not in URLS else _citation(worst.detail)
    return {**_detection(found, barred), **cited}


def _citation(licence: str) -> Results:
    return {"citation": {"URL": URLS[licence], "license": licence}}


def _detection(findings: list[Finding], barred: tuple[Finding, ...]) -> Results:
    worst = _worst(findings)
    return {"filtered": _any(findings, barred), "detected": worst is not None, **_origin(worst)}


def _detailed(name: str, findings: Iterable[Finding], barred: tuple[Finding, ...]) -> Results:
    found = list(findings)
    flag = DETAILED[name]
    details = [
        {flag: finding in barred if flag == "filtered" else True, "id": finding.detail}
        for finding in found
        if finding.origin != UPSTREAM and finding.detail
    ]
    return {"filtered": _any(found, barred), "details": details, **_origin(_worst(found))}


def _personal(findings: Iterable[Finding], barred: tuple[Finding, ...], masked: frozenset[str]) -> Results:
    found = list(findings)
    kinds = [
        {
            "sub_category": KINDS[finding.detail].sub_category if finding.detail in KINDS else finding.detail,
            "filtered": finding in barred,
            "detected": True,
            "redacted": finding.detail in masked,
        }
        for finding in found
        if finding.origin != UPSTREAM and finding.detail
    ]
    return {
        "filtered": _any(found, barred),
        "detected": bool(found),
        "sub_categories": kinds,
        **_origin(_worst(found)),
    }


def _worst(findings: Iterable[Finding]) -> Finding | None:
    """Of one level the local one: it needs no origin."""
    return max(findings, key=lambda one: (one.level, one.origin == LOCAL), default=None)


def _any(findings: Iterable[Finding], barred: tuple[Finding, ...]) -> bool:
    return any(finding in barred for finding in findings)


def _origin(worst: Finding | None) -> Results:
    return {} if worst is None or worst.origin == LOCAL else {"origin": worst.origin}


# --- what an upstream reports ------------------------------------------------------------------------------------


def read_upstream(raw: object) -> Upstream | None:
    """What an upstream says of one prompt or choice (``content_filter_results``), or None where that is nothing.

    ``raw`` comes from another machine and may be anything. Objects are kept word for word; all else is dropped.
    """
    if not isinstance(raw, dict):
        return None
    kept = {name: said for name, said in raw.items() if isinstance(name, str) and isinstance(said, dict)}
    if not kept:
        return None
    findings = [finding for name, said in kept.items() for finding in _read_category(name, said)]
    filtered = frozenset(name for name, said in kept.items() if said.get("filtered") is True)
    return Upstream(Verdict(tuple(findings), (UPSTREAM,)), filtered, kept)


def _read_category(name: str, said: Mapping[str, Any]) -> Iterable[Finding]:
    if name == "error":
        return
    if name in DETAILED:
        yield from _read_details(name, said)
        return
    level = _read_level(said)
    if level:
        yield Finding(name, level, UPSTREAM)


def _read_level(said: Mapping[str, Any]) -> int:
    """By severity where there is one that is known; what was detected, or only filtered, is `HIGH`."""
    severity = said.get("severity")
    if isinstance(severity, str) and severity in SEVERITIES:
        level = SEVERITIES.index(severity)
        return max(level, LOW) if said.get("filtered") is True else level
    return HIGH if said.get("detected") is True or said.get("filtered") is True else SAFE


def _read_details(name: str, said: Mapping[str, Any]) -> Iterable[Finding]:
    entries = said.get("details")
    hits = [
        entry["id"]
        for entry in (entries[:MAX_DETAILS] if isinstance(entries, list) else ())
        if isinstance(entry, dict) and entry.get(DETAILED[name]) is True and isinstance(entry.get("id"), str)
    ]
    for detail in dict.fromkeys(hits):
        yield Finding(name, HIGH, UPSTREAM, detail=detail)
    if not hits and said.get("filtered") is True:
        yield Finding(name, HIGH, UPSTREAM)


def _merge(results: Results, upstream: Upstream) -> None:
    """Adds what only the upstream has: members and categories of its own, and that it filtered."""
    for name, said in upstream.raw.items():
        own = results.get(name)
        if own is None or own.get("detector") == "off":
            results[name] = {**said, "origin": UPSTREAM}
            continue
        more = {member: _added(own.get(member), value) for member, value in said.items() if _is_more(own, member)}
        results[name] = {**own, **more, "filtered": own["filtered"] or name in upstream.filtered}


def _is_more(own: Results, member: str) -> bool:
    return member not in _OURS and (member not in own or isinstance(own[member], list))


def _added(own: object, theirs: object) -> object:
    return [*own, *theirs] if isinstance(own, list) and isinstance(theirs, list) else own or theirs
