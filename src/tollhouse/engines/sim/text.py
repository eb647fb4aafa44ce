"""The words of the simulated model: that it is simulated, what it was sent, then neutral sentences. Pure."""

import itertools
from collections.abc import Iterator

from tollhouse.engines.sim.draws import Draws
from tollhouse.engines.sim.prompt import Message, Prompt, counted

QUOTE_MAX = 400
RESULT_MAX = 4000
RESULTS_MAX = 16
MEDIA_MAX = 10
SENTENCES = {"low": 0, "medium": 2, "high": 6}
HONEST = (
    "This is a simulated answer: no language model was run.",
    "This answer is simulated; no language model was run.",
    "No language model was run for this simulated answer.",
    "Simulated answer, for no language model was run.",
)
SUBJECTS = (
    "The request path", "A timeout", "The next sentence", "An error handler", "The client library", "A retry",
    "The stream", "Each token", "A short answer", "The parser", "This paragraph", "A test of this kind",
)  # fmt: skip
VERBS = (
    "is easier to follow with", "can be exercised by", "does not depend on", "stays the same for", "is measured by",
    "was written for", "is told apart by", "ends after", "is kept apart from", "can be repeated with",
)  # fmt: skip
OBJECTS = (
    "a fixed seed", "one small step", "the words around it", "a known length", "the same input", "plain sentences",
    "what came before", "a steady pace", "an honest label", "the usual order", "its own limits", "a single choice",
)  # fmt: skip


def answer(prompt: Prompt, heard: str, *, verbosity: str, place: tuple[int, int], draws: Draws) -> str:
    """The natural answer to a conversation: what was received, then some sentences. ``place`` is choice i of n."""
    results = prompt.results()
    honest = draws.pick(HONEST)
    opening = [*from_results(results), honest] if results else [honest, *from_messages(prompt, heard)]
    index, total = place
    which = [f"Choice {index + 1} of {total}."] if total > 1 else []
    return " ".join([*which, *opening, *itertools.islice(sentences(draws), SENTENCES.get(verbosity, 2))])


def from_results(results: list[Message]) -> list[str]:
    """The opening after tools were called: what they returned, word for word."""
    return [
        f"The tool {result.tool or 'that was called'} returned: {clipped(result.text, RESULT_MAX)}"
        for result in results[-RESULTS_MAX:]
    ]


def from_messages(prompt: Prompt, heard: str) -> list[str]:
    """The opening otherwise: what was received."""
    roles = counted([message.role for message in prompt.messages])
    count = len(prompt.messages)
    said = [
        f"The request has {count} {'message' if count == 1 else 'messages'} ({roles}).",
    ]
    media = [medium for message in prompt.messages for medium in message.media]
    if media:
        said.append(f"It carries {counted([medium.kind for medium in media])}.")
        said += [f"{medium.kind.capitalize()}: {medium.about}." for medium in media[:MEDIA_MAX]]
    if heard:
        said.append(f'The last user message says: "{clipped(heard, QUOTE_MAX)}".')
    return said


def clipped(text: str, most: int) -> str:
    """The text, or its beginning and three dots."""
    return text if len(text) <= most else text[:most].rstrip() + "..."


def sentences(draws: Draws) -> Iterator[str]:
    """Neutral sentences without end."""
    while True:
        yield f"{draws.pick(SUBJECTS)} {draws.pick(VERBS)} {draws.pick(OBJECTS)}."


def prolonged(text: str, draws: Draws) -> Iterator[str]:
    """The text, then sentences without end; joined as they come."""
    yield text
    for sentence in sentences(draws):
        yield " " + sentence
