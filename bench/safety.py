"""What the local safety classifier costs: CPU per text, whole and streamed, and on texts made to be slow.

    python -m bench.safety [--rounds N] [--profile]

What is known of a word is kept, so the first rows tell pages that are new from pages of words that were met before.
No sockets. Figures are microseconds of CPU, the least of all rounds, and nanoseconds per character. The texts are
benign English; the hostile ones are what a filter of this kind is attacked with, of two sizes, so that anything that
grows faster than the text shows.
"""

import argparse
import cProfile
import gc
import pstats
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import NamedTuple

from tollhouse.safety.classifier import Classifier, Reading

PROSE = (
    "The library opens at nine, and the garden behind it is full of roses in June. Please tell me which train I should "
    "take if I want to be there before noon; I'd rather not change twice! Here is what I know so far: the express "
    "stops at the old bridge, 12 minutes from the square, and tickets cost 4.50 each way.\n"
)
SHORT, LONG, FILE = 200, 2_000, 64_000
TARGETS_US: Mapping[int, float] = MappingProxyType({SHORT: 40.0, LONG: 120.0})
STUDY_US: Mapping[int, float] = MappingProxyType({SHORT: 47.0, LONG: 242.0, 32_000: 4_700.0})
"""What the feasibility study had, with views, without profanity."""
TOKEN_CHARACTERS = 4
GROWTH_LIMIT = 2.6
"""Twice the text may cost so much more: twice, and what the machine adds."""
_ROUND_S = 0.02


class Cost(NamedTuple):
    """What one piece of work takes."""

    name: str
    characters: int
    took_us: float
    target_us: float | None = None

    @property
    def ns_per_character(self) -> float:
        """Per character."""
        return self.took_us * 1e3 / self.characters

    @property
    def verdict(self) -> str:
        """Whether that is within the target; nothing where there is none."""
        if self.target_us is None:
            return ""
        return f"<= {self.target_us:g} {'met' if self.took_us <= self.target_us else 'missed'}"


def prose(characters: int) -> str:
    """Benign English of that length."""
    return (PROSE * (characters // len(PROSE) + 1))[:characters]


HOSTILE: Mapping[str, Callable[[int], str]] = MappingProxyType(
    {
        "one giant word": lambda size: "x" * size,
        "only blanks": lambda size: " " * size,
        "only combining marks": lambda size: "\u0301" * size,
        "a mark on every letter": lambda size: "e\u0301" * (size // 2),
        "base64 of prose": lambda size: b64encode(prose(size).encode()).decode()[:size],
        "base64 of bytes": lambda size: b64encode(bytes(range(256)) * (size // 256 + 1)).decode()[:size],
        "words nobody has used": lambda size: " ".join(f"{place * 7919:x}q" for place in range(size // 5))[:size],
        "short runs of base64": lambda size: ((b64encode(prose(18).encode()).decode() + " ") * (size // 25 + 1))[:size],
        "alternating scripts": lambda size: "a\u0431" * (size // 2),
        "deep expansions (U+FDFA)": lambda size: "\ufdfa" * size,
        "leet": lambda size: prose(size).lower().translate(str.maketrans("aeiost", "431057")),
        "spaced letters": lambda size: " ".join(prose(size // 2)),
        "look-alike letters": lambda size: prose(size).translate(str.maketrans("aeo", "\u0430\u0435\u043e")),
        "tag characters": lambda size: "".join(chr(0xE0000 + ord(each)) for each in prose(size)),
    }
)


def least_us(work: Callable[[], object], rounds: int) -> float:
    """The least CPU that a piece of work took in any round."""
    began = time.perf_counter()
    work()
    count = max(1, int(_ROUND_S / max(time.perf_counter() - began, 1e-7)))
    least = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(count):
            work()
        least = min(least, (time.process_time() - began) / count * 1e6)
    return least


def streamed(classifier: Classifier, text: str) -> Reading:
    """A text that comes in tokens."""
    reader = classifier.reader()
    for start in range(0, len(text), TOKEN_CHARACTERS):
        reader.feed(text[start : start + TOKEN_CHARACTERS])
    return reader.finish()


def pages(characters: int) -> list[str]:
    """The documentation that ships with Tollhouse, in texts of that length: some 100,000 words, as people write."""
    folder = files("tollhouse").joinpath("docs")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".md"))
    whole = "".join(folder.joinpath(name).read_text("utf-8") for name in names)
    return [whole[start : start + characters] for start in range(0, len(whole) - characters, characters)]


def first_and_again(characters: int) -> tuple[float, float]:
    """What one of `pages` takes on the mean, of a classifier that has seen nothing yet and of one that has seen all."""
    texts, classifier = pages(characters), Classifier.load()
    took = []
    for _ in range(3):
        began = time.process_time()
        for text in texts:
            classifier.judge(text)
        took.append((time.process_time() - began) / len(texts) * 1e6)
    return took[0], min(took[1:])


def ordinary(classifier: Classifier, rounds: int) -> list[Cost]:
    """Benign texts of several sizes: whole with the verdict, and in tokens."""
    costs = []
    for size in (SHORT, LONG):
        first, again = first_and_again(size)
        costs += [Cost("page, new", size, first), Cost("page, of words known", size, again, TARGETS_US[size])]
    for size in (SHORT, LONG, 8_000, 32_000, FILE):
        text = prose(size)
        took = least_us(lambda text=text: classifier.judge(text), rounds)  # type: ignore[misc]
        costs.append(Cost("whole", size, took, TARGETS_US.get(size)))
    text = prose(LONG)
    costs.append(Cost(f"in pieces of {TOKEN_CHARACTERS}", LONG, least_us(lambda: streamed(classifier, text), rounds)))
    return costs


def hostile(classifier: Classifier, rounds: int) -> list[tuple[Cost, float]]:
    """Each hostile text of `FILE` characters, and how much more it costs than half of it."""
    found = []
    for name, make in HOSTILE.items():
        half, whole = (make(size) for size in (FILE // 2, FILE))
        half_us, whole_us = (least_us(lambda text=text: classifier.read(text), rounds) for text in (half, whole))  # type: ignore[misc]
        found.append((Cost(name, len(whole), whole_us), whole_us / half_us))
    return found


def table(costs: list[Cost], attacks: list[tuple[Cost, float]]) -> str:
    """The figures as Markdown."""
    lines = ["| text | characters | us | ns per character | target | the study had |", "|---|---:|---:|---:|---|---:|"]
    for cost in costs:
        study = STUDY_US.get(cost.characters, "") if cost.name == "whole" else ""
        figures = f"{cost.took_us:,.1f} | {cost.ns_per_character:.1f} | {cost.verdict} | {study}"
        lines.append(f"| {cost.name} | {cost.characters:,} | {figures} |")
    lines += [
        "",
        "| hostile text | characters | us | ns per character | beside half of it |",
        "|---|---:|---:|---:|---|",
    ]
    for cost, growth in attacks:
        told = f"{growth:.2f} times" + (" **grows too fast**" if growth > GROWTH_LIMIT else "")
        lines.append(
            f"| {cost.name} | {cost.characters:,} | {cost.took_us:,.1f} | {cost.ns_per_character:.1f} | {told} |"
        )
    return "\n".join(lines)


def profile(classifier: Classifier) -> None:
    """Where the time goes, for a long text."""
    text = prose(LONG)
    with cProfile.Profile() as profiler:
        for _ in range(3_000):
            classifier.read(text)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(15)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    classifier = Classifier.load()
    gc.collect()
    gc.freeze()
    if options.profile:
        profile(classifier)
    else:
        print(table(ordinary(classifier, options.rounds), hostile(classifier, max(options.rounds // 5, 3))))


if __name__ == "__main__":
    main()
