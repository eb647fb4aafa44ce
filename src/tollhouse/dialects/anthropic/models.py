"""What each Claude model takes and refuses, as data. Read by `encode` and its parts, by the name a host has for it.

Where a page of the vendor's says that a model refuses something with a 400, the request is changed before it is sent.
The pages, under https://platform.claude.com/docs/en: ``build-with-claude/thinking`` (which kinds of thinking),
``build-with-claude/effort`` (levels), ``about-claude/models/migration-guide`` (sampling and prefill),
``agents-and-tools/tool-use/implement-tool-use#forcing-tool-use``, ``build-with-claude/structured-outputs``,
``build-with-claude/preserved-thinking``, and ``models/{opus,sonnet,haiku}-5-5/whats-new-...`` for the newest.
"""

import re
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace


class Traits(Struct, frozen=True):
    """One model, or all from one version of its family to the next."""

    budget: bool = True
    """Takes ``thinking: enabled`` with ``budget_tokens``."""
    adaptive: bool = False
    """Takes ``thinking: adaptive``."""
    off: str = "disabled"
    """The ``thinking`` that turns it off; empty where nothing does."""
    thinks: bool = False
    """Thinks unless it is told not to."""
    silent: bool = False
    """Leaves the text of its thoughts empty unless ``display`` asks for it."""
    efforts: tuple[str, ...] = ()
    """The levels of ``output_config.effort``, rising; empty where it is refused."""
    sampling: bool = True
    """Takes ``temperature``, ``top_p`` and ``top_k``."""
    either: bool = False
    """Takes ``temperature`` or ``top_p``, not both."""
    prefill: bool = True
    """Continues an assistant message that ends the conversation."""
    forced: bool = True
    """Takes ``tool_choice`` ``any`` and ``tool``."""
    schema: bool = False
    """Takes ``output_config.format`` and ``strict`` tools."""
    inline: bool = False
    """Takes system messages behind a user's turn (``build-with-claude/mid-conversation-system-messages``)."""
    bound: bool = False
    """Refuses thoughts of its own where what stood before them was changed, unless told to drop those."""


_PLAIN = Traits(budget=False)
_BUDGET = Traits()
_SCHEMA = Traits(either=True, schema=True)
_OPUS_4_5 = replace(_SCHEMA, efforts=("low", "medium", "high"))
_4_6 = replace(_OPUS_4_5, adaptive=True, efforts=("low", "medium", "high", "max"), prefill=False)
_4_7 = replace(
    _4_6, budget=False, sampling=False, either=False, silent=True, efforts=("low", "medium", "high", "xhigh", "max")
)
_4_8 = replace(_4_7, inline=True)
_5 = replace(_4_8, thinks=True)
_ALWAYS = replace(_5, off="")
_BOUND = replace(_ALWAYS, forced=False, bound=True)
_SONNET_5_5 = replace(_BOUND, off="between_tools")
_HAIKU_5_5 = replace(_5, bound=True)

_Rows = tuple[tuple[tuple[int, int], Traits], ...]
_FABLE: _Rows = (((0, 0), _ALWAYS), ((5, 1), _BOUND))
_FAMILIES: dict[str, _Rows] = {
    "opus": (
        ((0, 0), _PLAIN),
        ((4, 0), _BUDGET),
        ((4, 1), _SCHEMA),
        ((4, 5), _OPUS_4_5),
        ((4, 6), _4_6),
        ((4, 7), _4_7),
        ((4, 8), _4_8),
        ((5, 0), _5),
        ((5, 5), _BOUND),
    ),
    "sonnet": (
        ((0, 0), _PLAIN),
        ((3, 7), _BUDGET),
        ((4, 5), _SCHEMA),
        ((4, 6), _4_6),
        ((5, 0), _5),
        ((5, 5), _SONNET_5_5),
    ),
    "haiku": (((0, 0), _PLAIN), ((4, 5), _SCHEMA), ((5, 0), _HAIKU_5_5)),
    "fable": _FABLE,
    "mythos": _FABLE,
    "instant": (((0, 0), _PLAIN),),
}
"""For each family, the versions from which on something changed. A newer one is taken to be like the last."""

_NEWEST = (1 << 30, 0)
_NAME = re.compile(
    r"claude-(?:(?P<old>\d)(?:-(?P<old_minor>\d))?(?!\d)(?:-(?P<old_family>[a-z]+))?"
    r"|(?P<family>[a-z]+)(?:-(?P<major>\d{1,2})(?!\d))?(?:-(?P<minor>\d{1,2})(?!\d))?)"
)
"""``claude-3-7-sonnet-20250219``, ``claude-opus-4-20250514``, ``us.anthropic.claude-haiku-4-5-20251001-v1:0``."""


@lru_cache(maxsize=1024)
def traits_of(model: str) -> Traits:
    """What a model is known to take. One that is not Claude's, or of a family that is not known, is taken at its word:
    an Anthropic-compatible host takes budgets and every way of sampling; an unknown Claude is like the newest Opus.
    """
    match = _NAME.search(model.lower().replace(".", "-"))
    if match is None:
        return Traits()
    if match["old"]:
        version = (int(match["old"]), int(match["old_minor"] or 0))
        return _at(_FAMILIES.get(match["old_family"] or "", _FAMILIES["instant"]), version)
    rows = _FAMILIES.get(match["family"], _FAMILIES["opus"])
    known = match["family"] in _FAMILIES and match["major"]
    return _at(rows, (int(match["major"]), int(match["minor"] or 0)) if known else _NEWEST)


def _at(rows: _Rows, version: tuple[int, int]) -> Traits:
    return [traits for since, traits in rows if since <= version][-1]
