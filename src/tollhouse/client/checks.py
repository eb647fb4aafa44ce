"""Has a text judged before it is used: by the moderations endpoint, or by one short chat completion.

The client is one of the openai SDK, pointed at a Tollhouse: ``OpenAI(base_url="http://127.0.0.1:8787/v1", ...)``.
"""

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tollhouse.client.errors import is_content_filter
from tollhouse.client.results import Evaluation, FilterResults, evaluate, filter_results, filtered_categories
from tollhouse.client.templates import Template

LOCAL = "tollhouse/safety"
"""The classifier inside Tollhouse, as a model of ``/v1/moderations``."""
_CHAT_TOKENS = 16
"""Enough for any model to answer with; some refuse a cap of 1."""


@dataclass(frozen=True, slots=True)
class Check:
    """What came of a check."""

    passed: bool
    """Whether nothing was filtered; with a template, whether it passes that."""
    failed_categories: tuple[str, ...]
    results: FilterResults
    evaluation: Evaluation | None = None
    """Against the template, where one was given."""


def check_text(client: Any, text: str, *, model: str = LOCAL, template: Template | None = None) -> Check:
    """Asks ``client.moderations`` about a text. Raises what the SDK does."""
    return _check(client.moderations.create(model=model, input=text), template)


async def check_text_async(client: Any, text: str, *, model: str = LOCAL, template: Template | None = None) -> Check:
    """`check_text` with an ``AsyncOpenAI``."""
    return _check(await client.moderations.create(model=model, input=text), template)


def check_by_chat(client: Any, text: str, *, model: str, template: Template | None = None) -> Check:
    """Sends a text to a model, for at most 16 tokens, and reads what the gateway and the host say of both sides. That
    costs what the model costs. A prompt that is blocked is a result, not an error. Raises what else the SDK does.
    """
    with _Blocked() as blocked:
        return _check(client.chat.completions.create(**_question(model, text)), template)
    return _check(blocked.error, template)


async def check_by_chat_async(client: Any, text: str, *, model: str, template: Template | None = None) -> Check:
    """`check_by_chat` with an ``AsyncOpenAI``."""
    with _Blocked() as blocked:
        return _check(await client.chat.completions.create(**_question(model, text)), template)
    return _check(blocked.error, template)


class _Blocked:
    """Holds the error that says that something was blocked, and lets every other pass."""

    error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        return is_content_filter(error)


def _question(model: str, text: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": _CHAT_TOKENS}


def _check(answer: object, template: Template | None) -> Check:
    results = filter_results(answer)
    if template is None:
        return Check(not results.any_filtered, tuple(filtered_categories(answer)), results)
    held_against = evaluate(answer, template)
    return Check(held_against.passed, held_against.failed_categories, results, held_against)
