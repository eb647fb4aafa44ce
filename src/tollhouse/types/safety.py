"""What is said of the safety of a text: the vocabulary that classifiers, judges, policies and answers share.

A `Finding` says one thing about one text. A `Verdict` is all that was found, and who looked. What follows from it is a
policy's business (`safety.policy`); how clients are told, `safety.results`.
"""

from typing import Final

from tollhouse.types.values import Value

SEVERITIES: Final = ("safe", "low", "medium", "high")
"""By rising level: their places are the levels."""
SAFE, LOW, MEDIUM, HIGH = range(4)
HARMS: Final = ("hate", "self_harm", "sexual", "violence")
"""Categories that clients are told as ``{filtered, severity}``."""
DETECTIONS: Final = ("jailbreak", "profanity", "protected_material_text", "protected_material_code")
"""Categories that clients are told as ``{filtered, detected}``: their level is `SAFE` or `HIGH`."""
PROMPT, COMPLETION = "prompt", "completion"
"""The two sides of an exchange."""
LOCAL: Final = "local"
"""The origin of what this process found itself."""


class Finding(Value, frozen=True):
    """One category that is not `SAFE` in one text."""

    category: str
    """One of `HARMS` or `DETECTIONS`, ``custom_blocklists``, ``custom_topics``, ``indirect_attack``,
    ``personally_identifiable_information``, or another name that an upstream uses."""
    level: int
    """1 to 3, as in `SEVERITIES`."""
    origin: str = LOCAL
    """Who says so: `LOCAL`, ``upstream``, or the name of a judge."""
    score: float | None = None
    """From 0 to 1, where there is one."""
    start: int = 0
    """Where the worst window begins, in characters of the text that was judged."""
    end: int = 0
    """Where it ends; 0 where nobody knows."""
    detail: str = ""
    """Which list or topic, for custom ones. Never a piece of the text."""


class Verdict(Value, frozen=True):
    """What was found in one text or several, and by whom."""

    findings: tuple[Finding, ...] = ()
    """At most one for each category, origin and detail."""
    judged_by: tuple[str, ...] = (LOCAL,)
    """Who looked and answered."""
    failed: tuple[str, ...] = ()
    """Judges who were asked and did not answer in time, or not sensibly."""

    def level(self, category: str) -> int:
        """The highest level of a category; `SAFE` where nobody found any."""
        return max((finding.level for finding in self.findings if finding.category == category), default=SAFE)


CLEAN: Final = Verdict()
"""The local classifier found nothing: what nearly every text is told."""


def without(verdict: Verdict, category: str) -> Verdict:
    """The verdict without what was found of a category: `CLEAN` where that was all."""
    left = tuple([finding for finding in verdict.findings if finding.category != category])
    if len(left) == len(verdict.findings):
        return verdict
    return Verdict(left, verdict.judged_by, verdict.failed) if left or verdict.failed else CLEAN


def joined(first: Verdict, second: Verdict) -> Verdict:
    """Both verdicts as one: of the same category, origin and detail the higher level stands."""
    if second is CLEAN or first is second:
        return first
    worst: dict[tuple[str, str, str], Finding] = {}
    for finding in (*first.findings, *second.findings):
        key = (finding.category, finding.origin, finding.detail)
        if key not in worst or worst[key].level < finding.level:
            worst[key] = finding
    judges = tuple(dict.fromkeys((*first.judged_by, *second.judged_by)))
    return Verdict(tuple(worst.values()), judges, tuple(dict.fromkeys((*first.failed, *second.failed))))
