"""What hosts say of the safety of a text, in the one form that the inner form has for it: Azure's. Pure.

The readers of every dialect make results with `rate` and `detect`, and read Azure's own with `tidy_results`; who puts
several hosts' words together uses `worse` and `level_of`.

Results are one object for each text: ``{category: {"filtered", "severity"}}`` where the host grades,
``{category: {"filtered", "detected"}}`` where it only finds. ``filtered`` is true where the host itself withheld the
text or a part of it, and nowhere else. A category that is not there was not looked for, or nothing is known of it.
https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter-annotations
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollhouse.types.safety import HIGH, SAFE, SEVERITIES

Results = dict[str, dict[str, Any]]
"""By category."""

RESULTS: Final = "content_filter_results"
"""The member of a choice that holds what was found in it."""
OLD_RESULTS: Final = "content_filter_result"
"""The same, as errors and some events spell it."""
PROMPT: Final = "prompt_filter_results"
"""The member of an answer that holds what was found in the prompt."""
UNNAMED: Final = "harm"
"""The category of a filter that names none (`safety.judges.findings.HARM`)."""
_MOST: Final = 64
"""Of categories, and of details that are named: more is no report but an attack on its readers."""
_MOST_BYTES: Final = 16 * 1024
"""Of one text's results in JSON: more is told in short."""
_SHORT: Final = frozenset({"filtered", "severity", "detected"})
_CATEGORY: Final = re.compile(r"[a-z][a-z_]{0,47}").fullmatch
"""No digits: what hosts print by mistake, keys and addresses, is no name."""
_encode: Final = msgspec.json.Encoder().encode
_LEVELS: Final[Mapping[object, int]] = {word: level for level, word in enumerate(SEVERITIES)}


def name_of(word: object) -> str:
    """A host's own word as the name of a category; empty for what is none."""
    if type(word) is not str:
        return ""
    name = word.lower().replace("-", "_").replace(" ", "_")
    return name if _CATEGORY(name) else ""


def rate(results: Results, category: str, level: int, *, filtered: bool = False) -> None:
    """Notes how bad a host finds a text, in place. What is said of a category twice counts as the worse says."""
    known = results.get(category)
    if known is None:
        if len(results) < _MOST:
            results[category] = {"filtered": filtered, "severity": SEVERITIES[level]}
        return
    known["filtered"] = known["filtered"] or filtered
    known["severity"] = SEVERITIES[max(level, level_of(known))]


def detect(results: Results, category: str, *, detected: bool = True, filtered: bool = False, detail: str = "") -> None:
    """Notes that a host finds something in a text, or not, in place. ``detail`` says which list, topic or rule."""
    known = results.get(category)
    if known is None:
        if len(results) >= _MOST:
            return
        known = results[category] = {"filtered": False, "detected": False}
    known["filtered"] = known["filtered"] or filtered
    if "severity" not in known:
        known["detected"] = known["detected"] or detected
    if detail and len(details := known.setdefault("details", [])) < _MOST:
        details.append({"id": detail[:128], "filtered": filtered, "detected": detected})


def level_of(entry: Mapping[str, Any]) -> int:
    """How bad one category is: 0 to 3. What is found without being graded is `HIGH`."""
    severity = entry.get("severity")
    level = _LEVELS.get(severity) if type(severity) is str else None
    if level is None:
        return HIGH if entry.get("detected") is True or entry.get("filtered") is True else SAFE
    return level


def worse(known: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Two tidy results of one text as one: of each category the worse, and ``filtered`` where either says so."""
    both = dict(known)
    for category, entry in more.items():
        other = both.get(category)
        if other is None:
            if len(both) < _MOST:
                both[category] = entry
        elif other != entry:
            first, second = (entry, other) if level_of(entry) > level_of(other) else (other, entry)
            both[category] = {**second, **first, "filtered": bool(first.get("filtered") or second.get("filtered"))}
    return both


def is_filtered(results: Mapping[str, Any]) -> bool:
    """Whether any category says that something was withheld."""
    return any(entry.get("filtered") is True for entry in results.values())


def of_prompt(results: Results) -> list[dict[str, Any]]:
    """What was found in a prompt, as an answer holds it."""
    return [{"prompt_index": 0, RESULTS: results}]


# --- what hosts send in this form ----------------------------------------------------------------------------------


def tidy_results(given: object) -> Results | None:
    """A host's own results without what makes no sense; the object itself where all of it does. None for no object.

    Older versions list ``custom_blocklists``, and some name categories with a dash.
    """
    if not isinstance(given, dict):
        return None
    if len(_encode(given)) > _MOST_BYTES:
        given = {name: _in_short(entry) for name, entry in given.items()}
    if len(given) <= _MOST and all(_is_sound(category, entry) for category, entry in given.items()):
        return given
    tidy: Results = {}
    for category, entry in given.items():
        name = name_of(category)
        if type(entry) is list:
            entry = _of_list(entry)  # noqa: PLW2901
        if _is_sound(name, entry) and len(tidy) < _MOST:
            tidy[name] = entry
    return tidy


def _in_short(entry: Any) -> Any:
    """One category without what hosts add to it, which may be of any size."""
    return {name: entry[name] for name in _SHORT & entry.keys()} if type(entry) is dict else entry


def _is_sound(category: str, entry: object) -> bool:
    if type(entry) is not dict or not _CATEGORY(category):
        return False
    if category == "error":  # the filter itself failed: a code and a message
        return True
    severity, detected = entry.get("severity", "safe"), entry.get("detected", False)
    known = type(severity) is str and severity in _LEVELS
    return known and type(detected) is bool and type(entry.get("filtered")) is bool


def _of_list(entries: list[Any]) -> dict[str, Any]:
    """Results for each of several lists, as one."""
    details = [entry for entry in entries[:_MOST] if type(entry) is dict]
    return {"filtered": any(entry.get("filtered") is True for entry in details), "details": details}


def results_in(holder: Mapping[str, Any]) -> Results | None:
    """The tidy results of an object of Azure's, in either spelling; None where there are none."""
    given = holder.get(RESULTS)
    return tidy_results(holder.get(OLD_RESULTS) if given is None else given)


def tidy_prompt(given: object) -> list[dict[str, Any]]:
    """What a host says of its prompts, without what makes no sense; empty where nothing is left."""
    kept: list[dict[str, Any]] = []
    for place, entry in enumerate(given[:_MOST] if type(given) is list else ()):
        results = results_in(entry) if type(entry) is dict else None
        if results is not None:
            index = entry.get("prompt_index")
            rest = {name: value for name, value in entry.items() if name != OLD_RESULTS}
            kept.append({**rest, "prompt_index": index if type(index) is int else place, RESULTS: results})
    return kept


def results_of_error(error: Mapping[str, Any]) -> Results:
    """What an error of Azure's tells of the text that it refuses: in ``innererror``, or for Responses in a list."""
    found: dict[str, Any] = {}
    inner = error.get("innererror")
    if type(inner) is dict:
        found = results_in(inner) or {}
    for each in sides(error.get("content_filters")).values():
        found = worse(found, each)
    return found


def sides(filters: object) -> dict[str, Results]:
    """``content_filters`` of Azure's Responses API: the results of each ``source_type``, ``prompt`` or ``completion``.

    There may be several of one, each about a stretch of the text.
    """
    found: dict[str, Results] = {}
    for one in filters[: 16 * _MOST] if type(filters) is list else ():
        side = one.get("source_type") if type(one) is dict else None
        if type(side) is str and side in ("prompt", "completion") and (results := results_in(one)) is not None:
            found[side] = worse(found.get(side, {}), results)
    return found
