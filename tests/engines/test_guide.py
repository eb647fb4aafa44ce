"""`tollhouse/guide`: answers from the documentation, names its sources, and says when it does not know."""

import json
from pathlib import PurePath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.sim_asking import Answer, ask
from tollhouse.engines.guide.index import Index, Section, cut, excerpt, split_blocks, stem, terms
from tollhouse.engines.guide.model import Guide, answers, shipped_pages
from tollhouse.engines.sim import tokens

PAGES = {
    "keys.md": """# Keys

A key opens the door. It is shown once.

## Minting a key

Run `tollhouse keys mint NAME`.

```sh
# this is not a heading
tollhouse keys mint laptop
```

Keep it safe.

## Revoking a key

Run `tollhouse keys revoke ID`. A revoked key stops working within five seconds.
""",
    "streams.md": """# Streaming

Answers stream as server-sent events. Set `stream` to true.

## Usage in streams

Set `stream_options.include_usage` and the last chunk carries the usage.

## Timeouts

The idle timeout ends a stalled stream.
""",
}


def guide() -> Guide:
    """A guide to the pages above."""
    return Guide(lambda: PAGES)


async def asked(text: str, *before: dict[str, Any], **fields: Any) -> Answer:
    """The guide's answer to a question."""
    body = {"model": "guide", "messages": [*before, {"role": "user", "content": text}], **fields}
    return await ask(body, guide())


@pytest.mark.parametrize(("question", "source"), [
    ("How do I revoke a key?", 'docs/keys.md, "Revoking a key"'),
    ("minting keys", 'docs/keys.md, "Minting a key"'),
    ("How can I get usage when streaming?", 'docs/streams.md, "Usage in streams"'),
    ("what is include_usage", 'docs/streams.md, "Usage in streams"'),
    ("idle timeouts?", 'docs/streams.md, "Timeouts"'),
])  # fmt: skip
async def test_answers_name_their_source(question: str, source: str) -> None:
    """A question is answered with the section that speaks of it, its file and heading named first."""
    answer = await asked(question)
    first = answer.text.partition("Sources:\n")[2].splitlines()[0]
    assert first == f"- {source}"
    assert answer.json["system_fingerprint"] == "fp_tollhouse_guide_1"


async def test_answers_quote_the_pages() -> None:
    """What is quoted stands in the documentation word for word, code blocks whole."""
    text = (await asked("How do I mint a key?")).text
    assert "**Keys > Minting a key**" in text
    assert "```sh\n# this is not a heading\ntollhouse keys mint laptop\n```" in text


@pytest.mark.parametrize("question", [
    "What is the capital of France?", "How do I bake bread with a key?", "\u6771\u4eac\u306e\u5929\u6c17\u306f",
    "the and of",
])  # fmt: skip
async def test_it_says_when_it_does_not_know(question: str) -> None:
    """What is not documented is said not to be, with what could be asked instead."""
    text = (await asked(question)).text
    assert text.startswith("That is not in my documentation.")
    assert "Keys; Streaming" in text


async def test_without_a_question() -> None:
    """Without a question it says what it can be asked."""
    assert (await asked("")).text.startswith("Ask me something")
    empty = await ask({"model": "guide", "messages": [{"role": "user", "content": "x"}]}, Guide(dict))
    assert "No pages were shipped" in empty.text


async def test_follow_up() -> None:
    """A follow-up that means nothing alone is understood with the question before it."""
    before = [{"role": "user", "content": "How do I revoke a key?"}, {"role": "assistant", "content": "..."}]
    assert "Revoking a key" in (await asked("And how soon?", *before)).text


@pytest.mark.parametrize("stream", [False, True])
async def test_wire(stream: bool) -> None:
    """Streaming, limits, stop texts, choices and usage are those of the simulated model."""
    answer = await asked("How do I revoke a key?", max_tokens=5, n=2, stream=stream)
    assert tokens.count(answer.text) == 5
    assert answer.finish() == ["length"]
    assert answer.text_of(0) == answer.text_of(1)
    stopped = await asked("How do I revoke a key?", stop="**", stream=stream)
    assert stopped.text == "From Tollhouse's documentation:\n\n"


async def test_json_object() -> None:
    """Asked for JSON, it gives answer and sources."""
    answer = await asked("How do I revoke a key?", response_format={"type": "json_object"})
    found = json.loads(answer.text)
    assert found["sources"][0] == 'docs/keys.md, "Revoking a key"'
    assert "within five seconds" in found["answer"]


@pytest.mark.parametrize(("fields", "param"), [
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format.type"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"}, "tool_choice"),
])  # fmt: skip
async def test_what_it_cannot_do(fields: dict[str, Any], param: str) -> None:
    """What only a writing model could do is refused, not ignored."""
    answer = await asked("Hi", **fields)
    assert (answer.status, answer.error["param"]) == (400, param)


async def test_scripts_are_questions_here() -> None:
    """The guide is not scripted: a directive in a question is only text."""
    assert (await asked("What does [sim: error=429] do?")).status == 200


async def test_shipped_pages_are_found() -> None:
    """The pages that ship with the package are read, each from its own name, and every section can be found."""
    pages = shipped_pages()
    assert pages
    assert all(PurePath(name).suffix == ".md" for name in pages)
    index = Index(pages)
    for section in index.sections:
        if len(set(terms(section.heading))) > 1:
            hits = answers(index, section.heading)
            assert any(hit.section.heading == section.heading for hit in hits), section.heading


def test_index_is_built_once() -> None:
    """The pages are read at the first question, and only then."""
    reads: list[int] = []

    def pages() -> dict[str, str]:
        reads.append(1)
        return PAGES

    made = Guide(pages)
    assert reads == []
    assert made._index() is made._index()
    assert reads == [1]


def test_cutting() -> None:
    """Pages are cut at headings, not inside code, and every line stays somewhere."""
    sections = cut("x.md", "intro\n# A\n\none\n\n## B ##\n~~~\n# code\n```\n~~~\n### C\n\n# D\ntwo\n```\n# open")
    assert [(section.trail, section.text) for section in sections] == [
        (("x.md",), "intro"),
        (("A",), "one"),
        (("A", "B"), "~~~\n# code\n```\n~~~"),
        (("D",), "two\n```\n# open"),
    ]


def test_long_tables_are_shortened() -> None:
    """Of a long table the head and the rows that speak of the question are quoted, and no HTML comment."""
    rows = "\n".join(f"| field{number} | takes a value of some kind |" for number in range(200))
    page = f"# T\n\n<!-- begin -->\n| field | takes |\n|---|---|\n{rows}\n| llama | an animal |\n"
    (section,) = cut("x.md", page)
    assert excerpt(section, "What is llama?", 1000) == "| field | takes |\n|---|---|\n| llama | an animal |"


@given(st.text(alphabet="# `~\nab", max_size=60))
def test_cutting_loses_nothing(text: str) -> None:
    """Whatever a page looks like, its words end up in sections and blocks."""
    for section in cut("x.md", text):
        assert "\n".join(split_blocks(section.text)).split() == section.text.split()


@pytest.mark.parametrize(("word", "other"), [
    ("keys", "key"), ("streaming", "stream"), ("policies", "policy"), ("configured", "configure"), ("caches", "cache"),
])  # fmt: skip
def test_stems(word: str, other: str) -> None:
    """The forms of a word are one word."""
    assert stem(word) == stem(other)


def test_terms_of_identifiers() -> None:
    """An identifier is found whole and by its parts."""
    assert list(terms("stream_options.include_usage")) == [
        "stream_options.include_usage", stem("stream"), stem("options"), stem("include"), stem("usage"),
    ]  # fmt: skip


def test_excerpts_are_short() -> None:
    """A long section is quoted by the blocks that speak of the question, in their order."""
    blocks = [f"Paragraph {number} about nothing at all, only words." for number in range(50)]
    blocks[30] = "The answer speaks of llamas."
    section = Section("x.md", ("X",), "\n\n".join(blocks))
    text = excerpt(section, "llamas", 200)
    assert "llamas" in text
    assert len(text) < 400
