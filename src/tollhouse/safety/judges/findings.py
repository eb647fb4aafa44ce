"""From what a judge said in its own words to findings in ours: its table, the operator's words over it, the thresholds.

Called by `gateway.judging` for each answer. A label that no table knows keeps its own name, so that nothing a judge
says is lost: policies may name it.
"""

import re
from collections.abc import Iterable, Mapping

from tollhouse.safety.judges.asked import Said
from tollhouse.settings.judges import JudgeSettings
from tollhouse.types.safety import DETECTIONS, HIGH, SAFE, Finding

HARM = "harm"
"""The category of a verdict that names none."""
_FOREIGN = re.compile(r"[^a-z0-9]+")
_MOST_CHARS = 64

Table = Mapping[str, tuple[str, ...]]
"""A family's labels, and the categories each of them stands for."""


def findings(said: Iterable[Said], judge: JudgeSettings, table: Table) -> tuple[Finding, ...]:
    """The findings of one judge: the worst of each category that is not `SAFE`."""
    worst: dict[str, Finding] = {}
    for one in said:
        for category in _categories(one.label, judge, table):
            level = _level(one, judge.thresholds.get(category))
            if category in DETECTIONS and level:
                level = HIGH
            known = worst.get(category)
            if level != SAFE and (known is None or (known.level, known.score or 0) < (level, one.score or 0)):
                worst[category] = Finding(category, level, judge.name, one.score)
    return tuple(worst.values())


def own_name(label: str) -> str:
    """A category's name made of a foreign label."""
    return _FOREIGN.sub("_", label.lower()[:_MOST_CHARS]).strip("_") or HARM


def _categories(label: str, judge: JudgeSettings, table: Table) -> tuple[str, ...]:
    stated = judge.categories.get(label)
    if stated is not None:
        return (stated,) if stated else ()
    return table.get(label) or (own_name(label),)


def _level(said: Said, thresholds: tuple[float, float, float] | None) -> int:
    if thresholds is None or said.score is None:
        return said.level
    score = said.score
    return sum([score >= least for least in thresholds])
