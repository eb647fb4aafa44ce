"""Questions that a heading answers word for word."""

from tollhouse.engines.guide.index import Index
from tollhouse.engines.guide.model import answers

PAGES = {
    "index.md": "# Tollhouse\n\n## What is Tollhouse?\n\nA door.\n\n## How do I make a key?\n\nWith keys create.\n"
}


def test_a_question_that_is_a_heading_gets_its_section() -> None:
    """Even a question of nothing but common words is answered where a heading asks it."""
    for question in ("What is Tollhouse?", "what is tollhouse"):
        (hit,) = answers(Index(PAGES), question)
        assert hit.section.text == "A door."
    assert not answers(Index(PAGES), "?")
