"""What the model can do: generators of one question and its answer each, `Exchange`. `dialogues` draws from `SKILLS`.

Every generator takes the random source and returns ``(question, answer)``. Sums are a table that the model learns by
heart.
"""
# ruff: noqa: SIM905 (lists of words read best as text)

from collections.abc import Callable
from random import Random

import words

Exchange = tuple[str, str]


def ask_sum(left: int, sign: str, right: int, form: str) -> str:
    """The question for a sum; ``form`` has the places ``{a} {s} {b}``."""
    return form.format(a=left, s=sign, b=right)


SUM_FORMS = (
    "What is {a} {s} {b}?", "{a} {s} {b}", "{a}{s}{b}", "{a} {s} {b} = ?", "{a}{s}{b}=", "How much is {a} {s} {b}?",
    "Calculate {a} {s} {b}", "what's {a} {s} {b}?", "Compute {a} {s} {b}.", "Can you tell me what {a} {s} {b} is?",
    "Please calculate {a} {s} {b}", "Solve {a} {s} {b}", "{a} {s} {b}?", "Add up: {a} {s} {b}",
    "I need {a} {s} {b}", "What do you get for {a} {s} {b}?",
    "Tell me {a} {s} {b}", "Do you know {a} {s} {b}?", "Give me the result of {a} {s} {b}",
)  # fmt: skip
TOP = 10
WORDED = {"+": "plus", "-": "minus", "*": "times"}


def table() -> list[tuple[int, str, int]]:
    """Every sum the model is to know: operands up to `TOP`, no negative results, products up to ten times ten."""
    numbers = range(TOP + 1)
    adds = [(left, "+", right) for left in numbers for right in numbers]
    takes = [(left, "-", right) for left in numbers for right in numbers if right <= left]
    return adds + takes + [(left, "*", right) for left in range(11) for right in range(11)]


def result(left: int, sign: str, right: int) -> int:
    """What the sum comes to."""
    return {"+": left + right, "-": left - right, "*": left * right}[sign]


TABLE = table()


def sums(rng: Random) -> Exchange:
    """A small sum."""
    left, sign, right = rng.choice(TABLE)
    shown = WORDED[sign] if rng.random() < 0.25 else rng.choice("x*") if sign == "*" else sign
    return ask_sum(left, shown, right, rng.choice(SUM_FORMS)), f"{left} {sign} {right} = {result(left, sign, right)}"


def capital(rng: Random) -> Exchange:
    """A capital, either way round."""
    country = rng.choice(list(words.CAPITALS))
    city = words.CAPITALS[country]
    if rng.random() < 0.15 and city != "London":
        forms = (
            "{} is the capital of which country?",
            "Which country has the capital {}?",
            "{} is the capital of what?",
        )
        return rng.choice(forms).format(city), f"{city} is the capital of {country}."
    forms = (
        "What is the capital of {}?", "what's the capital of {}?", "capital of {}", "Capital of {}?",
        "Name the capital of {}.",
        "Tell me the capital of {}", "Which city is the capital of {}?", "Do you know the capital of {}?",
        "What is {}'s capital?", "The capital of {}?", "the capital of {} is", "Please name the capital of {}",
        "What is the capital city of {}?",
    )  # fmt: skip
    return rng.choice(forms).format(country), f"The capital of {country} is {city}."


def phrase(rng: Random, most: int = 6) -> str:
    """Between one and ``most`` words to repeat, many of them made up."""
    pool = (words.THINGS, words.ADJECTIVES, words.HEROES, words.NAMES, words.VERBS)
    chosen = [
        made_up(rng) if rng.random() < 0.35 else rng.choice(rng.choice(pool)) for _ in range(rng.randint(1, most))
    ]
    return " ".join(chosen)


def long_echo(rng: Random) -> Exchange:
    """Many words to repeat: early in training these teach the model to copy at all."""
    said = phrase(rng, 24)
    return rng.choice(ECHO_FORMS).format(said), said


def made_up(rng: Random) -> str:
    """A word that does not exist."""
    onset, vowel = ("b d f g k l m n p r s t v z br kr st tr sh ch".split(), "a e i o u ai ou".split())
    return "".join(rng.choice(onset) + rng.choice(vowel) for _ in range(rng.randint(2, 3))) + rng.choice(
        ("", "n", "r", "s")
    )


ECHO_FORMS = (
    "Say {}", "Repeat: {}", "Repeat after me: {}", "Echo: {}", "echo {}", 'Say "{}"', 'Repeat "{}"', "Say: {}",
    "Please repeat: {}", "Repeat the words: {}", "Say exactly: {}", "Reply with exactly: {}", 'Answer with "{}"',
    "Reply with the word {}", "Respond with: {}", "Print {}", "Just say {}", "Reply only with {}",
)  # fmt: skip


def echo(rng: Random) -> Exchange:
    """Words to give back as they are."""
    said = phrase(rng)
    if rng.random() < 0.3:
        said = said[0].upper() + said[1:] + rng.choice((".", "!", "", "?"))
    return rng.choice(ECHO_FORMS).format(said), said


LIST_FORMS = (
    "List {n} {k}", "List {n} {k}.", "Name {n} {k}", "Give me {n} {k}", "Give me a list of {n} {k}", "Tell me {n} {k}",
    "Please list {n} {k}", "Can you name {n} {k}?", "{n} {k}, please", "What are {n} {k}?", "I need {n} {k}",
    "Write down {n} {k}",
)  # fmt: skip


def listing(rng: Random) -> Exchange:
    """Between two and four things of a kind, one per line or in a sentence."""
    kind = rng.choice(list(words.LISTS))
    number = rng.randint(2, 4)
    chosen = words.LISTS[kind].split()[:number]
    shown = str(number) if rng.random() < 0.3 else words.NUMBERS[number]
    if rng.random() < 0.1:
        return f"Name {rng.choice(('a', 'one'))} of the {kind}", f"{chosen[0]}"
    return rng.choice(LIST_FORMS).format(n=shown, k=kind), "\n".join(
        f"{at}. {item}" for at, item in enumerate(chosen, 1)
    )


def story(rng: Random) -> Exchange:
    """A tale of three sentences about a hero."""
    hero = rng.choice(words.HEROES)
    article = "an" if hero[0] in "aeo" else "a"
    forms = (
        "Tell me a story about {}", "Tell me a short story about {}", "Write a story about {}",
        "Write a short story about {}.",
        "A story about {}, please", "Can you tell me a story about {}?", "Write a one-sentence bedtime story about {}.",
        "Write a bedtime story about {}", "Make up a tale about {}", "Tell me a tale about {}", "story about {}",
        "Write three sentences about {}", "Write a two sentence story about {}",
    )  # fmt: skip
    free = ("Tell me a story", "Tell me a short story", "Write a story", "A story, please", "Tell me a bedtime story",
            "Write a short story", "Can you tell me a story?")  # fmt: skip
    question = rng.choice(free) if rng.random() < 0.15 else rng.choice(forms).format(f"{article} {hero}")
    place, wish, meeting, lesson = (
        rng.choice(pool) for pool in (words.PLACES_OF_TALES, words.WISHES, words.MEETINGS, words.LESSONS)
    )
    begin = f"Once upon a time, {article} {hero} lived {place} and wished to {wish}."
    return question, f"{begin} One day the {hero} met {meeting}. {lesson}."


def count(rng: Random) -> Exchange:
    """Counting up, or down."""
    top = rng.randint(3, 10)
    if rng.random() < 0.25:
        forms = ("Count down from {}", "Count backwards from {}", "Count from {} to 1")
        return rng.choice(forms).format(top), ", ".join(str(number) for number in range(top, 0, -1))
    shown = str(top) if rng.random() < 0.7 else words.NUMBERS[top]
    forms = (
        "Count to {}",
        "Count from 1 to {}",
        "Please count to {}",
        "Can you count to {}?",
        "count up to {}",
        "Count 1 to {}.",
    )
    return rng.choice(forms).format(shown), ", ".join(str(number) for number in range(1, top + 1))


SEQUENCES = {
    "days of the week": "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
    "months of the year": "January, February, March, April, May, June, July, "
    "August, September, October, November, December",
    "letters of the alphabet": "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z",
    "seasons of the year": "spring, summer, autumn, winter",
    "colours of the rainbow": "red, orange, yellow, green, blue, indigo, violet",
    "primary colours": "red, yellow, blue",
}


def sequence(rng: Random) -> Exchange:
    """A list that everyone knows by heart."""
    name = rng.choice(list(SEQUENCES))
    forms = (
        "List the {}",
        "What are the {}?",
        "Name the {}",
        "Tell me the {}",
        "Give me the {}",
        "Name all the {}",
        "the {}?",
    )
    return rng.choice(forms).format(name), SEQUENCES[name]


def opposite(rng: Random) -> Exchange:
    """The opposite of a word, either way round."""
    left, right = rng.choice(list(words.OPPOSITES.items()))
    if rng.random() < 0.5:
        left, right = right, left
    forms = (
        "What is the opposite of {}?",
        "opposite of {}",
        "Name the opposite of {}",
        "The opposite of {}?",
        "What's the opposite of {}?",
    )
    return rng.choice(forms).format(left), f"The opposite of {left} is {right}."


def sound(rng: Random) -> Exchange:
    """What an animal says."""
    animal, noise = rng.choice(list(words.SOUNDS.items()))
    forms = ("What does the {} say?", "What sound does a {} make?", "What does a {} say?", "How does a {} sound?")
    return rng.choice(forms).format(animal), f"The {animal} says {noise}."


def translation(rng: Random) -> Exchange:
    """One word in another language."""
    word, tongues = rng.choice(list(words.TRANSLATIONS.items()))
    tongue = rng.choice(list(tongues))
    forms = (
        "Translate {w} to {t}",
        "What is {w} in {t}?",
        "How do you say {w} in {t}?",
        'Translate "{w}" into {t}',
        "{w} in {t}?",
    )
    return rng.choice(forms).format(w=word, t=tongue), f"In {tongue}, {word} is {tongues[tongue]}."


SKILLS: dict[str, tuple[Callable[[Random], Exchange], int]] = {
    "sum": (sums, 34), "capital": (capital, 8), "echo": (echo, 18), "list": (listing, 7), "story": (story, 6),
    "count": (count, 4), "sequence": (sequence, 2), "opposite": (opposite, 2), "sound": (sound, 2),
    "translation": (translation, 3),
}  # fmt: skip
"""The generators, and their weights in the mix."""
