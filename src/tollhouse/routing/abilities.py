"""What requests need and models have, as bits of one number, so that a check is one operation.

Two numbers for a model: what it is known to have, and what nobody has said anything of. The catalogue's silence means
no; of a model that only an engine's or the operator's word is known of, silence means nothing.
"""

from tollhouse.types.calls import ModelFacts

VISION, AUDIO, FILES, VIDEO, TOOLS, SCHEMA, REASONING, SPEECH = (1 << bit for bit in range(8))
ALL = (1 << 8) - 1
HARD = VISION | AUDIO | FILES | VIDEO | TOOLS | SPEECH
"""What no gateway can make up for. A schema it can ask for in words, and reasoning is no promise."""

WORDS = {
    VISION: "images",
    AUDIO: "audio",
    FILES: "documents",
    VIDEO: "video",
    TOOLS: "tools",
    SCHEMA: "JSON schemas",
    REASONING: "reasoning",
    SPEECH: "speech",
}
_KINDS = {"image": VISION, "audio": AUDIO, "pdf": FILES, "video": VIDEO}


def has(facts: ModelFacts | None) -> int:
    """What a model is known to have."""
    if facts is None:
        return 0
    bits = SPEECH if "audio" in facts.output_kinds else 0
    for kind in facts.input_kinds:
        bits |= _KINDS.get(kind, 0)
    if facts.tools:
        bits |= TOOLS
    if facts.structured_output:
        bits |= SCHEMA
    if facts.reasoning:
        bits |= REASONING
    return bits


def may_have(facts: ModelFacts | None, *, complete: bool) -> int:
    """What it may have besides: everything, where its facts are not ``complete``."""
    return 0 if facts is not None and (complete or facts.released_on is not None) else ALL


def words(bits: int) -> str:
    """The names of abilities, for people."""
    return ", ".join([word for bit, word in WORDS.items() if bits & bit]) or "nothing special"


def names(bits: int) -> list[str]:
    """The same as a list, for machines."""
    return [word for bit, word in WORDS.items() if bits & bit]
