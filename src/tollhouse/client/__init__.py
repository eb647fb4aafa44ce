"""For applications that talk to Tollhouse: what was filtered, what went wrong, and how long to wait.

    from openai import OpenAI, APIStatusError
    from tollhouse.client import ErrorId, error_id, was_filtered

    completion = OpenAI(base_url="http://127.0.0.1:8787/v1").chat.completions.create(...)
    if was_filtered(completion): ...

The rules: it imports nothing but the standard library, so that importing it costs next to nothing; it takes objects of
the openai SDK and plain JSON alike; and nothing that is handed to a function that reads makes it raise. `sdk/js` is the
same for JavaScript.
"""

from tollhouse.client.checks import Check, check_by_chat, check_by_chat_async, check_text, check_text_async
from tollhouse.client.errors import ErrorId, error_id, is_content_filter, request_id, retry_after_s
from tollhouse.client.results import (
    CategoryResult,
    Evaluation,
    FilterResults,
    PromptResults,
    evaluate,
    filter_results,
    filtered_categories,
    was_filtered,
)
from tollhouse.client.streams import Collector, collect
from tollhouse.client.templates import (
    CHILD_SAFE,
    ENTERPRISE,
    MINIMAL,
    MODERATE,
    STRICT,
    TEMPLATES,
    Template,
)

__all__ = [
    "CHILD_SAFE",
    "ENTERPRISE",
    "MINIMAL",
    "MODERATE",
    "STRICT",
    "TEMPLATES",
    "CategoryResult",
    "Check",
    "Collector",
    "ErrorId",
    "Evaluation",
    "FilterResults",
    "PromptResults",
    "Template",
    "check_by_chat",
    "check_by_chat_async",
    "check_text",
    "check_text_async",
    "collect",
    "error_id",
    "evaluate",
    "filter_results",
    "filtered_categories",
    "is_content_filter",
    "request_id",
    "retry_after_s",
    "was_filtered",
]
