"""What is written down of the safety of one exchange: categories and levels, never words. `gateway.watch` calls it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tollhouse.ledger.holds import Hold
from tollhouse.safety.policy import OTHER, Decision, Policy
from tollhouse.safety.results import BLOCKLISTS, PERSONAL, TOPICS
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.safety import CLEAN as NOTHING
from tollhouse.types.safety import COMPLETION, DETECTIONS, HARMS, PROMPT, SEVERITIES

Row = tuple[str, str, int, bool]
"""Side, category, level, and whether it was filtered."""
CLEAN: Final = "{}"
"""Of a request that was judged, and in which nothing was found."""
_COUNTED: Final = frozenset({*HARMS, *DETECTIONS, "indirect_attack", BLOCKLISTS, TOPICS, PERSONAL})
_encode: Final = msgspec.json.Encoder().encode


def write_down(hold: Hold, metrics: Metrics, policy: Policy, decisions: Sequence[Decision]) -> None:
    """Tells a hold that is about to be resolved, and the metrics, what was decided of a prompt and of each choice."""
    if all(decision.verdict is NOTHING for decision in decisions):
        hold.safety = CLEAN
        return
    rows = tuple(dict.fromkeys([row for decision in decisions for row in _rows(decision)]))
    for side, category, level, filtered in rows:
        outcome = "filtered" if filtered else "annotated"
        metrics.add("tollhouse_safety_findings", side, category, SEVERITIES[level], outcome)
    hold.found = rows
    hold.safety = _encode(_record(policy, decisions, rows)).decode()


def _rows(decision: Decision) -> list[Row]:
    """The worst of each category."""
    worst: dict[str, int] = {}
    filtered = {_counted(category) for category in decision.categories}
    for finding in decision.verdict.findings:
        category = _counted(finding.category)
        worst[category] = max(worst.get(category, 0), finding.level)
    return [(decision.side, category, level, category in filtered) for category, level in worst.items()]


def _counted(category: str) -> str:
    """What a category counts as: those that only one upstream or judge knows, as one, for they are without number."""
    return category if category in _COUNTED else OTHER


def _record(policy: Policy, decisions: Sequence[Decision], rows: Sequence[Row]) -> Mapping[str, Any]:
    """``{"policy", "prompt": {category: severity}, "completion": {...}, "blocked", "failed"}``, as far as there is
    anything to say.
    """
    found: dict[str, Any] = {"policy": policy.name}
    for side, category, level, _ in sorted(rows, key=lambda row: row[2]):
        found.setdefault(side, {})[category] = SEVERITIES[level]
    for side in (COMPLETION, PROMPT):
        if any(decision.blocked for decision in decisions if decision.side == side):
            found["blocked"] = side
    if failed := [name for decision in decisions for name in decision.verdict.failed]:
        found["failed"] = list(dict.fromkeys(failed))
    return found
