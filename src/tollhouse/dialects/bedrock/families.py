"""How the models of Bedrock differ behind its one API. Rows of data, looked up by the beginning of a model's name.

Called by the other modules of this package. A name may have a region before it (``us.``, ``global.``) or be an ARN; an
ARN of a profile of the operator's own says nothing of its model, which then is taken for one that is not known. What is
Claude's everywhere is in `dialects.anthropic.models`.

https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-supported-models-features.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
"""

import re
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace


class Family(Struct, frozen=True):
    """What the models with one beginning of their name take. The defaults are those of a model that is not known."""

    claude: bool = False
    """Its thoughts are signed, and come back with the next turn."""
    thinking: str = ""
    """How it is told to think, a key of `thinking.THINKERS`; empty where it cannot be told."""
    top_k: tuple[str, ...] = ()
    """Where ``top_k`` stands in ``additionalModelRequestFields``; empty where it has none."""
    choices: frozenset[str] = frozenset()
    """The kinds of ``toolChoice`` beside ``auto``: ``any``, ``tool``."""
    mixes: bool = False
    """Other blocks may stand in one turn with ``toolResult``."""
    status: bool = False
    """``toolResult`` may say that the tool failed."""
    json_results: bool = False
    """``toolResult`` holds JSON, not text."""
    result_media: frozenset[str] = frozenset()
    """The media that ``toolResult`` may hold."""
    cache: frozenset[str] = frozenset()
    """Where ``cachePoint`` may stand: ``system``, ``messages``, ``tools``."""
    long_cache: bool = False
    """``cachePoint`` takes a ``ttl`` of an hour."""
    leads: bool = False
    """A conversation may begin with the assistant."""


_MEDIA = frozenset({"image", "document"})
_BOTH = frozenset({"any", "tool"})
_OLD_CLAUDE = Family(
    claude=True,
    thinking="claude",
    top_k=("top_k",),
    choices=_BOTH,
    mixes=True,
    status=True,
    result_media=_MEDIA,
    leads=True,
)
_CLAUDE_4 = replace(_OLD_CLAUDE, cache=frozenset({"system", "messages", "tools"}))
_CLAUDE = replace(_CLAUDE_4, long_cache=True)
_NOVA = Family(
    top_k=("inferenceConfig", "topK"),
    choices=_BOTH,
    mixes=True,
    status=True,
    result_media=_MEDIA,
    cache=frozenset({"system", "messages"}),
)

_FAMILIES: dict[str, Family] = {
    "anthropic.claude": _CLAUDE,
    "anthropic.claude-v2": _OLD_CLAUDE,
    "anthropic.claude-instant": _OLD_CLAUDE,
    "anthropic.claude-3": _OLD_CLAUDE,
    "anthropic.claude-3-5": _CLAUDE_4,
    "anthropic.claude-3-7": _CLAUDE_4,
    "anthropic.claude-sonnet-4-2": _CLAUDE_4,  # claude-sonnet-4-20250514
    "anthropic.claude-opus-4-2": _CLAUDE_4,
    "anthropic.claude-opus-4-1": _CLAUDE_4,
    "amazon.nova": _NOVA,
    "amazon.nova-2": replace(_NOVA, thinking="nova"),
    "openai.gpt": Family(thinking="gpt"),
    "qwen.": Family(thinking="qwen"),
    "mistral.": Family(choices=frozenset({"any"}), json_results=True),
    "cohere.command-r": Family(top_k=("k",)),
}
"""By the longest beginning that fits."""
_REGION = re.compile(r"^[a-z]{2,6}(?:-[a-z]{2,4})?\.(?=[a-z0-9-]+\.)")
_UNKNOWN = Family()


@lru_cache(maxsize=1024)
def family_of(model: str) -> Family:
    """The row of a model, by the name that the host knows it by."""
    name = _REGION.sub("", model.rpartition("/")[2])
    found = [beginning for beginning in _FAMILIES if name.startswith(beginning)]
    return _FAMILIES[max(found, key=len)] if found else _UNKNOWN
