"""`tollhouse/guide`: answers questions about Tollhouse from its shipped documentation, and names its sources.

It retrieves and quotes; it makes nothing up. What is not in the documentation it says it does not know. Everything
about the wire (streaming, stop, limits, usage) is what `engines.sim` does for the simulated model.
"""

import functools
import importlib.resources
import time
from collections.abc import Callable, Mapping

from tollhouse.engines.guide.index import Hit, Index, excerpt
from tollhouse.engines.sim import tokens, tools
from tollhouse.engines.sim.completion import Said
from tollhouse.engines.sim.draws import Draws
from tollhouse.engines.sim.engine import Engine, Nature, fresh
from tollhouse.engines.sim.refusal import wrong_value
from tollhouse.engines.sim.request import Request

NATURE = Nature("fp_tollhouse_guide_1", threaded=True)
SECTIONS_MAX = 3
EXCERPT_MAX = 1000
COVERED = 0.5
NEARLY = 0.6  # of the best score: what scores less is not worth a reader's time
ALMOST = 0.8  # of the best section's coverage: the same
QUESTION_MAX = 2000
Pages = Callable[[], Mapping[str, str]]


def shipped_pages() -> dict[str, str]:
    """The Markdown pages of the package by file name; decision records are for developers and left out."""
    folder = importlib.resources.files("tollhouse") / "docs"
    return {page.name: page.read_text("utf-8") for page in folder.iterdir() if page.name.endswith(".md")}


class Guide(Engine):
    """The guide as a connector; ``Guide()`` is all it needs. The index is built at the first question."""

    def __init__(
        self,
        pages: Pages = shipped_pages,
        *,
        now_s: Callable[[], float] = time.time,
        entropy: Callable[[], int] = fresh,
    ) -> None:
        self._index = functools.cache(lambda: Index(pages()))
        super().__init__(self._speak, NATURE, now_s=now_s, entropy=entropy)

    def _speak(self, request: Request, _index: int, _draws: Draws) -> Said:
        return say(request, self._index())


def say(request: Request, index: Index) -> Said:
    """The guide's answer. Raises `Refusal` for what only a model that writes could do."""
    if tools.choice(request).mode == "required":
        raise wrong_value("tool_choice", "the guide calls no tools.")
    if request.json_form == "json_schema":
        raise wrong_value("response_format.type", "the guide answers as text or json_object.")
    question = request.heard[-QUESTION_MAX:]
    hits = answers(index, question)
    if not hits and (before := earlier(request)):
        # A follow-up such as "and in a stream?" makes sense only with the question before it.
        hits = answers(index, f"{before[-QUESTION_MAX:]} {question}")
    said = found(hits, question) if hits else not_found(index, question)
    if request.json_form == "json_object":
        said = tools.json_text({"answer": said, "sources": [source(hit) for hit in hits]})
    return Said(tokens.split(said))


def answers(index: Index, question: str) -> list[Hit]:
    """The sections that answer a question, best first; empty when none does."""
    if titled := index.titled(question):
        return titled[:SECTIONS_MAX]
    hits = index.find(question, 4 * SECTIONS_MAX)
    known = [hit for hit in hits if hit.coverage >= COVERED]
    if not known:
        return []
    least_score, least_coverage = NEARLY * known[0].score, ALMOST * known[0].coverage
    return [hit for hit in known if hit.score >= least_score and hit.coverage >= least_coverage][:SECTIONS_MAX]


def earlier(request: Request) -> str:
    """The user's message before the last one, or nothing."""
    said = [message.text for message in request.prompt.messages if message.role == "user"]
    return said[-2] if len(said) > 1 else ""


def found(hits: list[Hit], question: str) -> str:
    """The quoted sections and where they stand."""
    quoted = [f"**{' > '.join(hit.section.trail)}**\n\n{excerpt(hit.section, question, EXCERPT_MAX)}" for hit in hits]
    sources = "\n".join(f"- {source(hit)}" for hit in hits)
    return "\n\n".join(["From Tollhouse's documentation:", *quoted, f"Sources:\n{sources}"])


def source(hit: Hit) -> str:
    """File and heading."""
    return f'docs/{hit.section.file}, "{hit.section.heading}"'


def not_found(index: Index, question: str) -> str:
    """The answer when there is none, with what could be asked about."""
    pages = list(dict.fromkeys(section.trail[0] for section in index.sections))
    opening = "That is not in my documentation." if question else "Ask me something about Tollhouse."
    listed = f" My pages are: {'; '.join(pages)}." if pages else " No pages were shipped with this build."
    return f"{opening} I answer from Tollhouse's own documentation only, word for word.{listed}"
