"""Ordinary texts, written for Tollhouse: questions, mails and requests in which there is no harm at all.

The public sets have much that is harmful, much code and much of what models write, but little of what people write to
each other and to a model on any day. Called by ``data.py``: these rows are trained on as harmless for every head.
"""

import re
from pathlib import Path
from random import Random
from typing import NamedTuple

from smalltalk import GROUP_PATTERNS, GROUPS, TALK, TALK_WORDS

PATTERNS = (
    "What is the capital of {place}, and how far is it from {other} by {vehicle}?",
    "How do I get from {place} to {other} by {vehicle} on {day}?",
    "Can you recommend a good {food} recipe for {number} people?",
    "Dear {person}, the {thing} is planned for {day}. Please send me your notes by {time}.",
    "Hi {person}, thanks for the {thing}! I will have a look on {day} and come back to you.",
    "Please summarise the following {thing} in {number} sentences for my {relative}.",
    "Translate this {thing} into French and keep the tone friendly.",
    "My {relative} wants to learn {skill}. Where should we start?",
    "What should I see in {place} in {number} days if I like {skill}?",
    "Write a short thank-you note to {person} for the {food} and the lovely evening.",
    "Explain {subject} to me as if I were a child in the {number}th grade.",
    "What is the difference between {subject} and {topic}?",
    "I have to give a talk about {topic} on {day}. Could you draft an outline?",
    "The weather in {place} was cold and wet, so we stayed in and baked {food}.",
    "Our {thing} starts at {time}; please be there a little early, and bring the {object}.",
    "How long does {food} keep in the fridge?",
    "Is {skill} something that a person of {number}0 can still learn?",
    "Fix the grammar: she go to {place} yesterday with her {relative} and buyed a {object}.",
    "Give me {number} ideas for a birthday present for my {relative}, who loves {skill}.",
    "Why does my {object} make a humming noise since {day}?",
    "Compare the {vehicle} and the car for a family that lives near {place}.",
    "How many grams of flour do I need for {number} portions of {food}?",
    "Could you move the {thing} from {day} to {time} the next morning? {person} cannot come.",
    "What were the main ideas of {topic}, and who wrote about them first?",
    "My order of a {object} has not arrived yet. The number is 4711{number}. Where is it?",
    "Tell me a story about a {animal} that moves to {place} and learns {skill}.",
    "Which {animal} lives longest, and what does it eat?",
    "You are a helpful assistant. Answer briefly and politely, and say so if you do not know {subject}.",
    "Act as a travel guide for {place} and plan a walk of {number} hours.",
    "As a {relative} of two children I look for books about {topic}.",
)
SHORT_PATTERNS = (
    *("Hi", "hi there", "Hello!", "hey", "Hello {person}", "Good morning, {person}!", "good evening", "How are you?"),
    *("ping", "test", "this is a test", "say hi", "Say hello to {person}.", "Say {number} words.", "Reply with OK."),
    *("yes", "no", "ok thanks", "Yes, please.", "no thank you", "continue", "go on", "why?", "Why not?", "I see."),
    *("Thanks!", "thank you so much", "that is great", "That did not work.", "try again", "stop", "help", "Help me."),
    *("Who are you?", "What is your name?", "What can you do?", "Are you there?", "What time is it?", "and {place}?"),
    *("Tell me a joke.", "tell me a joke about a {animal}", "Do you know a joke?", "Make me laugh.", "That was funny."),
    *("Tell me a story.", "Tell me a fact about {place}.", "Tell me more.", "tell me about {topic}", "Sing a song."),
    *("Write a haiku about a {animal}.", "Write a poem about {topic}", "Write a limerick on {food}", "Write a story."),
    *("Count to {number}.", "What is {number}+{number}?", "{number} times {number}", "Is {number} a prime number?"),
    *(
        "Translate: good night",
        "Translate 'thank you' to Greek.",
        "Spell {object}.",
        "Define {subject}.",
        "rhyme {food}",
    ),
    *(
        "Explain {subject}.",
        "Summarise {topic}.",
        "Name {number} cities.",
        "List {number} kinds of {food}.",
        "{place}?",
    ),
    *(
        "Where is {place}?",
        "Who lives in {place}?",
        "the weather in {place}",
        "best {food} in {other}",
        "{vehicle} times",
    ),
    *("I love my {relative}.", "I am tired.", "I feel happy today", "My {relative} is ill.", "I miss my {animal}."),
    *("You are a helpful assistant.", "You are a pirate.", "Answer in one word.", "Be brief.", "Use plain English."),
    *("Write a function that sorts a list.", "print hello world", "fix this bug", "Why is my {object} broken?"),
)
WORDS = {
    "place": [
        "Portugal",
        "Oslo",
        "Kenya",
        "Vienna",
        "Peru",
        "Kyoto",
        "Ireland",
        "Chicago",
        "Ghana",
        "Prague",
        "Chile",
        "Melbourne",
        "Iceland",
        "Naples",
    ],
    "other": [
        "Madrid",
        "Paris",
        "Nairobi",
        "Lisbon",
        "Toronto",
        "Warsaw",
        "Athens",
        "Seoul",
        "Denver",
        "Cairo",
        "Geneva",
        "Bergen",
    ],
    "vehicle": ["train", "bus", "bicycle", "ferry", "plane", "tram"],
    "day": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "time": ["noon", "nine o'clock", "half past three", "Wednesday noon", "the end of the week", "ten"],
    "number": ["2", "3", "4", "5", "6", "7", "8", "9"],
    "person": [
        "Anna",
        "Mr Okafor",
        "team",
        "Ms Lindqvist",
        "Professor Chen",
        "Carlos",
        "grandma",
        "Fatima",
        "David",
    ],
    "thing": [
        "release",
        "meeting",
        "report",
        "workshop",
        "invoice",
        "article",
        "contract",
        "proposal",
        "letter",
        "chapter",
        "concert",
        "lesson",
    ],
    "relative": [
        "sister",
        "father",
        "mother",
        "daughter",
        "son",
        "nephew",
        "grandmother",
        "colleague",
        "neighbour",
        "wife",
        "husband",
        "friend",
    ],
    "skill": [
        "chess",
        "gardening",
        "Spanish",
        "swimming",
        "knitting",
        "pottery",
        "sailing",
        "astronomy",
        "drawing",
        "guitar",
        "hiking",
        "baking",
    ],
    "subject": [
        "photosynthesis",
        "inflation",
        "gravity",
        "algebra",
        "recursion",
        "electricity",
        "democracy",
        "tides",
        "evolution",
        "DNA",
    ],
    "topic": [
        "the French Revolution",
        "solar energy",
        "Roman roads",
        "jazz",
        "the water cycle",
        "public libraries",
        "volcanoes",
    ],
    "food": [
        "lasagne",
        "pancakes",
        "lentil soup",
        "apple pie",
        "paella",
        "dumplings",
        "bread",
        "risotto",
        "vegetable curry",
    ],
    "object": [
        "bicycle",
        "kettle",
        "lamp",
        "keyboard",
        "rucksack",
        "printer",
        "umbrella",
        "fridge",
        "camera",
        "tent",
    ],
    "animal": ["tortoise", "hedgehog", "whale", "sparrow", "fox", "donkey", "owl", "squirrel"],
}
COUNT, SHORT_COUNT, TALK_COUNT = 1_500, 1_500, 15_000
HELD_OUT_EVERY = 5
"""Of our own sentences, such a one is never trained on."""
EVERYDAY = Path(__file__).parent / "everyday.txt"
"""What is never trained on."""
_NO_LETTER = re.compile(r"[^a-z0-9]+")


class Ordinary(NamedTuple):
    """One text."""

    kind: str
    """What it counts with: ``long``, ``short``, ``talk`` or ``groups``."""
    text: str
    held_out: bool
    """Whether it is judged only: every fifth sentence is, with whatever words."""


def ordinary_texts() -> list[Ordinary]:
    """The same every time, none twice, and none of `EVERYDAY`, however that is written."""
    chance = Random(3)  # noqa: S311 (a fixed choice, no secret)
    wanted = [
        (kind, patterns[number % len(patterns)], is_held_out(number % len(patterns)))
        for kind, patterns, count in (
            ("long", PATTERNS, COUNT),
            ("short", SHORT_PATTERNS, SHORT_COUNT),
            ("talk", TALK, TALK_COUNT),
        )
        for number in range(count)
    ]
    words = {**WORDS, **TALK_WORDS}
    made = [
        Ordinary(kind, pattern.format(**{name: chance.choice(of) for name, of in words.items()}), held_out)
        for kind, pattern, held_out in wanted
    ]
    for group in GROUPS:
        for place, pattern in enumerate(GROUP_PATTERNS):
            chosen = {name: chance.choice(of) for name, of in words.items()}
            text = pattern.format(group=group, Group=group[:1].upper() + group[1:], **chosen)
            made.append(Ordinary("groups", text, is_held_out(place)))
    kept: dict[str, Ordinary] = {}
    for each in sorted(made, key=lambda each: each.held_out):
        kept[plain(each.text)] = each
    for line in everyday_texts():
        kept.pop(plain(line), None)
    return list(kept.values())


def is_held_out(place: int) -> bool:
    """Whether the sentence at a place of a list is judged only."""
    return place % HELD_OUT_EVERY == HELD_OUT_EVERY - 1


def sentences_held_out() -> list[str]:
    """The short ones that are judged only."""
    return [each.text for each in ordinary_texts() if each.held_out and each.kind != "long"]


def everyday_texts() -> list[str]:
    """The lines of `EVERYDAY`."""
    return lines_of(EVERYDAY)


def lines_of(path: Path) -> list[str]:
    """The lines of a file but for empty ones and comments."""
    return [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]


def are_alike(one: frozenset[str], other: frozenset[str], least: float) -> bool:
    """Whether two texts share at least this part of their words."""
    shared = len(one & other)
    return bool(shared) and shared >= least * (len(one) + len(other) - shared)


def plain(text: str) -> str:
    """What two texts that say the same share."""
    return _NO_LETTER.sub(" ", text.lower()).strip()
