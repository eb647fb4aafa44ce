"""The five safety templates that policies start from, and the rule by which a template judges results.

Their names, thresholds and rule are those of Skytells' SDK (`SafetyTemplates` and `_evaluateTemplate`:
https://github.com/Skytells/ts-sdk, src/types/inference.types.ts and src/safety.ts), so that a client's own check with a
template and the gateway's policy of that name say the same. `safety.policy` makes policies of them; `failed` is for
whoever has results already.

CHILD_SAFE and ENTERPRISE leave ``failOnFiltered`` out there, and so never look at a severity; here they do, as their
names promise.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec import Struct

from tollhouse.types.safety import HARMS, HIGH, LOW, MEDIUM, SAFE, SEVERITIES

CATEGORIES = (*HARMS, "jailbreak", "indirect_attack", "protected_material_text", "protected_material_code")
"""What "all" stands for. Profanity is no category of theirs: a policy filters it where it says so."""
_LEVELS: Mapping[object, int] = MappingProxyType({word: level for level, word in enumerate(SEVERITIES)})


class Template(Struct, frozen=True):
    """What fails: all that was filtered; with ``fail_on_filtered``, also each severity from ``threshold`` that is above
    `SAFE`. Categories that are not named are not looked at.
    """

    name: str
    threshold: int
    fail_on_filtered: bool = True
    categories: tuple[str, ...] = CATEGORIES

    @property
    def level(self) -> int | None:
        """The lowest level that fails by itself; None where none does."""
        return max(self.threshold, LOW) if self.fail_on_filtered else None


TEMPLATES: Mapping[str, Template] = MappingProxyType(
    {
        template.name: template
        for template in (
            Template("strict", SAFE),
            Template("moderate", MEDIUM),
            Template("minimal", HIGH, fail_on_filtered=False),
            Template("child_safe", LOW, categories=("sexual", "violence", "self_harm", "hate")),
            Template("enterprise", SAFE),
        )
    }
)


def failed(template: Template, *results: Mapping[str, object]) -> tuple[str, ...]:
    """The categories that fail in some results, each ``{category: {filtered, severity} | {filtered, detected}}``."""
    return tuple(name for name in template.categories if _fails(template, (one.get(name) for one in results)))


def _fails(template: Template, said: Iterable[object]) -> bool:
    return any(_is_over(template, one) for one in said if isinstance(one, Mapping))


def _is_over(template: Template, said: Mapping[str, object]) -> bool:
    severity = said.get("severity")
    level = _LEVELS.get(severity, SAFE) if isinstance(severity, str) else SAFE
    return said.get("filtered") is True or (template.level is not None and level >= template.level)
