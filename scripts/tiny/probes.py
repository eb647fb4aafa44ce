"""Held-out probes, and the scoring of a model's answers; called by `train` for the model card.

None of the questions occurs in training: their wordings, made-up words or values are new.
"""
# ruff: noqa: S311 (chance, not secrecy)

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import elsewhere
import product
import shapes
import skills
import talk
import words
from dialogues import TOPICS, Turn

OBJECTS, FORCED_CALLS, CHOSEN_CALLS = "JSON objects", "forced calls", "calls it chooses"


@dataclass(frozen=True, slots=True)
class Probe:
    """A conversation that ends with the user, and the answers that count as right."""

    area: str
    turns: tuple[Turn, ...]
    accepted: tuple[str, ...]
    functions: tuple[dict[str, Any], ...] = ()
    """Functions that are offered, or of which one is forced."""


def ask(area: str, question: str, *accepted: str) -> Probe:
    """A probe of one question."""
    return Probe(area, (("user", question),), accepted)


def all_probes(seed: int = 7) -> list[Probe]:
    """Every probe, the same on every run."""
    rng = Random(seed)
    return [
        *topics(),
        *sums(),
        *capitals(),
        *echoes(rng),
        *lists(),
        *objects(rng),
        *calls(rng),
        *names(rng),
        *outside(rng),
    ]


def topics() -> list[Probe]:
    """Questions about known topics in words that training did not use."""
    return [
        ask("known topics", question, *TOPICS[name][1])
        for held in (talk.HELD, product.HELD)
        for name, questions in held.items()
        for question in questions
    ]


def sums() -> list[Probe]:
    """The whole table, in a wording of training and in one that training never used."""
    forms = {"sums": "What is {a} {s} {b}?", "sums, in a new wording": "Please work out {a} {s} {b}"}
    return [
        ask(area, form.format(a=left, s=sign, b=right), f"{left} {sign} {right} = {skills.result(left, sign, right)}")
        for area, form in forms.items()
        for left, sign, right in skills.TABLE
    ]


def capitals() -> list[Probe]:
    """All countries, in one form that training did not use."""
    return [
        ask("capitals", f"Please tell me what the capital of {country} is.", f"The capital of {country} is {city}.")
        for country, city in words.CAPITALS.items()
    ]


def echoes(rng: Random) -> list[Probe]:
    """Fresh phrases, made-up words among them."""
    said = [f"{rng.choice(words.THINGS)} {skills.made_up(rng)} {rng.choice(words.NAMES)}" for _ in range(40)]
    return [ask("echo", rng.choice(skills.ECHO_FORMS).format(text), text) for text in said]


def lists() -> list[Probe]:
    """Lists in one form that training did not use."""
    found = []
    for number, (kind, items) in enumerate(words.LISTS.items()):
        size = 2 + number % 3
        accepted = "\n".join(f"{at}. {item}" for at, item in enumerate(items.split()[:size], 1))
        found.append(ask("lists", f"Could you list {words.NUMBERS[size]} {kind}?", accepted))
    return found


def objects(rng: Random) -> list[Probe]:
    """JSON objects with fresh values; the answer must be equal as JSON."""
    return [ask(OBJECTS, *shapes.given(rng)) for _ in range(60)]


def calls(rng: Random) -> list[Probe]:
    """Function calls with fresh functions: forced ones, chosen ones, and questions that need none of those offered."""
    found = []
    for area in (FORCED_CALLS, CHOSEN_CALLS):
        for _ in range(50):
            functions = shapes.toolbox(rng)
            question, answer = shapes.request(rng, rng.choice(functions))
            tools = tuple(json.loads(shapes.listed(rng, functions)))
            found.append(Probe(area, (("user", question),), (answer,), tools))
    for country, city in list(words.CAPITALS.items())[:40]:
        tools = tuple(json.loads(shapes.listed(rng, shapes.toolbox(rng))))
        turns = (("user", f"What is the capital of {country}?"),)
        found.append(Probe("no call needed", turns, (f"The capital of {country} is {city}.",), tools))
    return found


def names(rng: Random) -> list[Probe]:
    """A name told two turns before it is asked for."""
    found = []
    for name in rng.sample(words.NAMES, 30):
        opening = (("user", f"Hello, I am {name}"), ("assistant", f"Hello {name}, nice to meet you!"))
        between = (("user", "What is 2 + 2?"), ("assistant", "2 + 2 = 4"))
        found.append(
            Probe(
                "a name remembered",
                (*opening, *between, ("user", "Tell me, what is my name?")),
                (f"Your name is {name}.",),
            )
        )
    return found


def outside(rng: Random) -> list[Probe]:
    """Questions from forms and words that training never uses: the model must say that it cannot answer."""
    return [ask("outside its knowledge", elsewhere.prompt(rng, unseen=True), *elsewhere.FALLBACKS) for _ in range(150)]


def right(probe: Probe, answer: str) -> bool:
    """Whether an answer is accepted. JSON is compared as values, all else as text without surrounding space."""
    if probe.area in {OBJECTS, FORCED_CALLS, CHOSEN_CALLS}:
        try:
            return bool(json.loads(answer) == json.loads(probe.accepted[0]))
        except ValueError:
            return False
    return answer.strip() in probe.accepted


def score(
    answer: Callable[[Probe], str], probes: list[Probe]
) -> tuple[dict[str, tuple[int, int]], list[tuple[Probe, str]]]:
    """Right answers and probes per area, and the misses."""
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    misses = []
    for probe in probes:
        given = answer(probe)
        good = right(probe, given)
        counts[probe.area][0] += good
        counts[probe.area][1] += 1
        if not good:
            misses.append((probe, given))
    return {area: (good, total) for area, (good, total) in counts.items()}, misses
