"""Reading Markdown pages: their fenced blocks, headings and links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "src" / "tollhouse" / "docs"
README = ROOT / "README.md"
PAGES = (README, ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}) +(.+?) *$", re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"(?<!!)\[[^\]\n]*(?:\n[^\]\n]*)?\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, and the heading it stands under."""

    language: str
    text: str
    heading: str


def name(page: Path) -> str:
    """A page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """The fenced blocks of a page, of one language or all."""
    text = page.read_text("utf-8")
    found = []
    for match in _FENCE.finditer(text):
        above = _HEADING.findall(without_fences(text[: match.start()]))
        found.append(Block(match[1], match[2], above[-1][1] if above else ""))
    return [block for block in found if language in (None, block.language)]


def block(page: Path, language: str, heading: str) -> str:
    """The text of the one block of this language under a heading."""
    (found,) = [one.text for one in blocks(page, language) if one.heading == heading]
    return found


def without_fences(text: str) -> str:
    """The text without its fenced blocks."""
    return _FENCE.sub("", text)


def anchors(page: Path) -> set[str]:
    """What links may name after ``#``, as GitHub makes them of headings."""
    found: set[str] = set()
    for _, heading in _HEADING.findall(without_fences(page.read_text("utf-8"))):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        count = sum(1 for known in found if re.fullmatch(re.escape(anchor) + r"(-\d+)?", known))
        found.add(f"{anchor}-{count}" if count else anchor)
    return found


def links(page: Path) -> Iterator[str]:
    """Where a page's links lead."""
    yield from _LINK.findall(_CODE.sub("", without_fences(page.read_text("utf-8"))))
