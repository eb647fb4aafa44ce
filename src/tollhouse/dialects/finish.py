"""Finish reasons: what a host says, in OpenAI's five words. Used for whole replies and for streams alike."""

from typing import Final

BROKEN: Final = "error"
"""What OpenRouter and its like say of an answer that failed at its host."""
WITHHELD: Final = "content_filter"
"""What goes over any other reason, also one that was said before: what is left of an answer is not what was written."""

_UNFINISHED: Final = {
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",  # Mistral: the context window ended, not max_tokens
    "content_filter": "content_filter",
    "safety": "content_filter",
    "refusal": "content_filter",
    "sensitive": "content_filter",
    "content_filtered": "content_filter",
    "prohibited_content": "content_filter",
    "recitation": "content_filter",
}


def finish_reason(word: object, *, called: bool, legacy_call: bool = False) -> str:
    """The reason of one choice.

    Only two things a host says count, for they say that the answer is not whole: ``length`` and ``content_filter``.
    Else the answer itself decides. ``called``: it held tool calls, and hosts that then say ``stop`` make agents stop;
    ``legacy_call`` is the same for ``function_call``. Unknown words, and none at all, are ``stop``.
    """
    if isinstance(word, str) and (unfinished := _UNFINISHED.get(word.lower())):
        return unfinished
    if called:
        return "tool_calls"
    return "function_call" if legacy_call else "stop"
