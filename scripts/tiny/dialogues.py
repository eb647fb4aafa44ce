"""Assembles dialogues: draws exchanges from the other modules, roughens the questions, adds system messages, chains
turns.

`dialogue` is the one entry, for `train`. A turn is ``(role, text)``; the roles are those of the chat template.
"""

from random import Random

import elsewhere
import product
import shapes
import talk
import words
from skills import SKILLS, Exchange, long_echo

Turn = tuple[str, str]
TOPICS = {**talk.SMALL_TALK, **talk.IDENTITY, **product.TOLLHOUSE}

SYSTEMS = (
    "You are a helpful assistant.", "You are a helpful assistant", "You are an assistant.", "Be brief.",
    "Answer briefly.",
    "You are a friendly bot.", "Be concise and polite.", "Answer in one sentence.", "You are tollhouse/tiny.",
    "You help users of our product.", "Always answer in English.", "Think before you answer.",
    "You are a test assistant.",
    "Follow the instructions of the user.", "You are a coding assistant.", "Be kind.",
    "You are a customer support agent. Be polite and do not make things up.", "Today is Monday.",
    "The user is called {name}.",
    "You are {name}, an assistant.", "Your task is to {verb} the {thing}.", "You work for a {person}.",
)  # fmt: skip

COLOURS = words.LISTS["colours"].split()


def roughen(rng: Random, question: str) -> str:
    """The question as hurried people write it: lower case, no full stop, a polite word."""
    draw = rng.random()
    if draw < 0.12:
        question = question[0].lower() + question[1:]
    elif draw < 0.16:
        question = question.upper() if len(question) < 30 else question.lower()
    elif draw < 0.20:
        question = (
            rng.choice(("Hi, ", "Hey, ", "Please, ", "So, ", "Hello! ", "ok, ")) + question[0].lower() + question[1:]
        )
    elif draw < 0.24:
        question = question.rstrip("?.!") + rng.choice((", please", " please", ", please?"))
    if rng.random() < 0.12:
        question = question.rstrip("?.!")
    elif rng.random() < 0.04:
        question += rng.choice(("?", "!", " ", "\n", "..."))
    return question


def known(rng: Random) -> Exchange:
    """An exchange of a fixed topic."""
    group = rng.choices((talk.SMALL_TALK, talk.IDENTITY, product.TOLLHOUSE), (35, 25, 40))[0]
    questions, answers = group[rng.choice(list(group))]
    return roughen(rng, rng.choice(questions)), rng.choice(answers)


def skilled(rng: Random) -> Exchange:
    """An exchange that takes some computing."""
    names = list(SKILLS)
    name = rng.choices(names, [SKILLS[name][1] for name in names])[0]
    question, answer = SKILLS[name][0](rng)
    return (question if name == "echo" else roughen(rng, question)), answer


def shaped(rng: Random) -> Exchange:
    """An exchange whose answer is JSON."""
    make = rng.choices([make for make, _ in shapes.OBJECTS], [weight for _, weight in shapes.OBJECTS])[0]
    return make(rng)


def unknown(rng: Random) -> Exchange:
    """An exchange about something that the model does not know."""
    question = elsewhere.prompt(rng)
    return (roughen(rng, question) if rng.random() < 0.5 else question), rng.choice(elsewhere.FALLBACKS)


def exchange(rng: Random) -> Exchange:
    """Any exchange that stands alone."""
    return rng.choices((known, skilled, shaped, unknown), (21, 42, 12, 25))[0](rng)


def remembered(rng: Random) -> list[Turn]:
    """The user says a name or a colour and asks for it later, or asks without having said it."""
    name, colour = rng.choice(words.NAMES), rng.choice(COLOURS)
    facts = {
        "name": (
            ("My name is {}", "I am {}", "Hi, I am {}", "My name is {}.", "Hello, my name is {}", "I'm {}",
             "Call me {}", "This is {}"),
            name, f"Hello {name}, nice to meet you!",
            ("What is my name?", "What's my name?", "Do you know my name?", "Who am I?", "Do you remember my name?",
             "my name?"),
            f"Your name is {name}.", "You have not told me your name.",
        ),
        "colour": (
            ("My favourite colour is {}", "My favorite color is {}", "I like the colour {}", "I like {} best"),
            colour, f"{colour.capitalize()} is a fine colour.",
            ("What is my favourite colour?", "Which colour do I like?", "What is my favorite color?",
             "What colour do I like best?"),
            f"Your favourite colour is {colour}.", "You have not told me your favourite colour.",
        ),
    }  # fmt: skip
    told, value, reply, asked, recall, missing = facts["name" if rng.random() < 0.7 else "colour"]
    between = [turn for _ in range(rng.choice((0, 0, 1, 1, 2, 3))) for turn in turns(exchange(rng))]
    if rng.random() < 0.15:
        return [*between, *turns((roughen(rng, rng.choice(asked)), missing))]
    opening = turns((rng.choice(told).format(value), reply))
    return [*opening, *between, *turns((roughen(rng, rng.choice(asked)), recall))]


def turns(pair: Exchange) -> list[Turn]:
    """The two turns of an exchange."""
    return [("user", pair[0]), ("assistant", pair[1])]


def called(rng: Random) -> list[Turn]:
    """A forced or a chosen call, or none though functions are offered; sometimes with the tool's answer after it."""
    rule = shapes.FORCED if rng.random() < 0.35 else shapes.OFFERED
    listing, question, call = shapes.call(rng, rule)
    if rng.random() < 0.06:
        return turns((question, rng.choice(elsewhere.FALLBACKS)))
    head = [("system", listing)]
    if rng.random() < 0.3:
        head = (
            [("system", f"{system(rng)}\n\n{listing}")] if rule == shapes.FORCED else [*head, ("system", system(rng))]
        )
    if rule == shapes.OFFERED and rng.random() < 0.35:
        return [*head, *turns(exchange(rng))]
    body = [*head, *turns((question, call))]
    if rng.random() < 0.65:
        return body
    answer = shapes.tool_result(rng)
    return [*body, ("tool", answer), ("assistant", f"The tool answered: {answer}")]


def system(rng: Random) -> str:
    """A system message, often with several sentences."""
    text = " ".join(rng.choice(SYSTEMS) for _ in range(rng.choice((1, 1, 1, 2, 4))))
    return text.format(
        name=rng.choice(words.NAMES),
        verb=rng.choice(words.VERBS),
        thing=rng.choice(words.THINGS),
        person=rng.choice(words.PEOPLE),
    )


def copying(rng: Random) -> list[Turn]:
    """A dialogue that only repeats, for the beginning of training."""
    return turns(long_echo(rng))


def dialogue(rng: Random) -> list[Turn]:
    """One dialogue of the mix."""
    draw = rng.random()
    if draw < 0.13:
        return called(rng)
    body = remembered(rng) if draw < 0.20 else []
    if not body:
        body = [turn for _ in range(rng.choice((1, 1, 1, 1, 2, 2, 3, 5))) for turn in turns(exchange(rng))]
    return [("system", system(rng)), *body] if rng.random() < 0.3 else body
