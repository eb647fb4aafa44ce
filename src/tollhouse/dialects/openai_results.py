"""What the filters of a host that speaks OpenAI's dialect found, put into shape where it stands. Pure.

`providers.openai` makes one `Found` for each stream, and asks it only about members that few hosts send. Azure's
results stay as they are, but for shapes that make no sense; OpenAI's own ``moderation`` is told in that form too.

Azure opens a stream with what was found in the prompt, in an event without choices, id and model: it waits for the
first chunk that has them, so that the answer keeps its id and no client sees ``choices`` empty. What the asynchronous
filter finds comes in choices without a delta, which are chunks as any other.
https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-streaming
"""

from typing import Any, Final

from tollhouse.dialects.filtered import OLD_RESULTS, PROMPT, RESULTS, Results, results_in, tidy_prompt
from tollhouse.dialects.moderation import add_moderation

OLD_PROMPT: Final = "prompt_annotations"
"""What Azure called ``prompt_filter_results`` in its versions of 2023."""
MODERATION: Final = "moderation"
CUT: Final = "content_filter"


class Found:
    """What was found in one streamed answer and its prompt, so far."""

    __slots__ = ("_cut", "_sound", "asked")

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] | None = None
        """What was found in the prompt, while no chunk has told it."""
        self._cut: set[int] = set()
        """The choices that a filter has ended."""
        self._sound: Results = {}
        """The last results that were read: the next ones are nearly always the same."""

    def read_chunk(self, chunk: dict[str, Any], began: set[int]) -> None:
        """Takes what was found in the prompt out of a chunk that has a word about safety, and tells what ``moderation``
        found of every choice that ``began``, for that comes when the answer is whole.
        """
        if chunk.get(MODERATION):
            self._moderate(chunk, began)
        if PROMPT in chunk or OLD_PROMPT in chunk:
            self.asked = _take_prompt(chunk) or self.asked

    def _moderate(self, chunk: dict[str, Any], began: set[int]) -> None:
        given = chunk.get("choices") or []
        if type(given) is not list:
            return  # its reader says so
        told = {one["index"]: one for one in given if type(one) is dict and type(one.get("index")) is int}
        cut = self._cut.union(index for index, one in told.items() if one.get("finish_reason") == CUT)
        found = [told.get(index, {"index": index}) for index in sorted(began.union(told))]
        add_moderation(chunk, found, cut=frozenset(cut))
        chunk["choices"] = given + [one for one in found if RESULTS in one and one["index"] not in told]

    def read_choice(self, choice: dict[str, Any]) -> None:
        """Puts the results of one choice into shape, in place."""
        if choice.get(RESULTS) == self._sound and OLD_RESULTS not in choice:
            return
        results = results_in(choice)
        choice.pop(OLD_RESULTS, None)
        if results is None:
            choice.pop(RESULTS, None)
        else:
            choice[RESULTS] = self._sound = results

    def end_choice(self, index: int, reason: object) -> None:
        """Notes why a choice ended."""
        if reason == CUT:
            self._cut.add(index)

    def tell(self, chunk: dict[str, Any]) -> None:
        """Puts what was found in the prompt on a chunk that has a choice."""
        chunk[PROMPT], self.asked = self.asked, None


def read_found(reply: dict[str, Any]) -> None:
    """Puts what was found in a whole, tidy answer into shape, in place."""
    choices = reply["choices"]
    for choice in choices:
        if RESULTS in choice or OLD_RESULTS in choice:
            Found().read_choice(choice)
    if PROMPT in reply or OLD_PROMPT in reply:
        asked = _take_prompt(reply)
        if asked:
            reply[PROMPT] = asked
    if reply.get(MODERATION):
        cut = [choice["index"] for choice in choices if choice["finish_reason"] == CUT]
        add_moderation(reply, choices, cut=frozenset(cut))


def _take_prompt(holder: dict[str, Any]) -> list[dict[str, Any]] | None:
    """What was found in the prompt, out of an answer or a chunk; None where that says nothing."""
    older = holder.pop(OLD_PROMPT, None)
    return tidy_prompt(holder.pop(PROMPT, None) or older) or None
