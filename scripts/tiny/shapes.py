"""JSON: objects that a question describes, and calls of a function that the system message lists. `dialogues` draws
from here.

`FORCED` is what Tollhouse's llama.cpp provider writes when a client forces a call; `OFFERED` is in the model's chat
template.
"""
# ruff: noqa: SIM905 (lists of words read best as text)

import json
from dataclasses import dataclass
from random import Random

import words
from skills import Exchange, made_up, phrase

FORCED = "Call one function. Answer only with a JSON object that has its name and its arguments. The functions:"
OFFERED = (
    "You can call a function. To call one, answer only with a JSON object that has its name and its arguments. "
    "The functions:"
)

TEXT_FIELDS = "name city country title color colour language animal status author category label food".split()
NUMBER_FIELDS = "age year count price quantity score size height total number".split()


def text_value(rng: Random, field: str) -> str:
    """A plausible text for a field of this name."""
    if field in {"name", "author"}:
        return rng.choice(words.NAMES)
    if field in {"city", "country"}:
        return rng.choice([part for pair in words.CAPITALS.items() for part in pair if " " not in part])
    kind = {"color": "colors", "colour": "colours", "animal": "animals", "food": "fruits"}.get(field)
    if kind:
        return rng.choice(words.LISTS[kind].split())
    return {"language": "English", "status": "ok"}.get(field) or rng.choice(words.THINGS)


def record(rng: Random) -> dict[str, str | int]:
    """Between one and three fields with values."""
    fields = rng.sample(TEXT_FIELDS, rng.randint(1, 2)) + rng.sample(NUMBER_FIELDS, rng.randint(0, 2))
    if rng.random() < 0.3:
        rng.shuffle(fields)
    return {field: text_value(rng, field) if field in TEXT_FIELDS else rng.randint(1, 99) for field in fields[:3]}


def any_text(rng: Random, field: str) -> str:
    """A value for a field, often one that cannot be guessed and must be copied."""
    return phrase(rng, 2) if rng.random() < 0.5 else text_value(rng, field)


def joined(parts: list[str]) -> str:
    """``a, b and c``."""
    return " and ".join([*([", ".join(parts[:-1])] if parts[:-1] else []), parts[-1]])


def given(rng: Random) -> Exchange:
    """An object whose values are in the question."""
    values = {field: value if isinstance(value, int) else any_text(rng, field) for field, value in record(rng).items()}
    quoted = rng.random() < 0.3
    parts = [
        f'{field} "{value}"' if quoted and isinstance(value, str) else f"{field} {value}"
        for field, value in values.items()
    ]
    forms = (
        "Give me a JSON object with {}", "Return JSON with {}", "Write a JSON object with {}.", "Make JSON: {}",
        "Answer in JSON: {}", "A JSON object with {}, please", "Return a JSON object with {}", "JSON with {}",
    )  # fmt: skip
    return rng.choice(forms).format(joined(parts)), json.dumps(values)


def invented(rng: Random) -> Exchange:
    """An object whose fields are in the question and whose values are not."""
    values = record(rng)
    forms = (
        "Give me a JSON object with the fields {}", "Return JSON with the keys {}", "Write a JSON object with keys {}",
        "JSON with the fields {}, please", "Describe a person as JSON with {}",
        "Make a JSON object with the properties {}",
        "Invent a record with {} as JSON", "Return an object with {} in JSON",
    )  # fmt: skip
    return rng.choice(forms).format(joined(list(values))), json.dumps(values)


def bare(rng: Random) -> Exchange:
    """An object, and nothing said of it."""
    forms = ("Give me a JSON object", "Return JSON", "Answer in JSON", "Write a JSON object", "Show me some JSON",
             "Say hello in JSON",
             "Reply with a JSON object", "Return a small JSON object")  # fmt: skip
    question = rng.choice(forms)
    return question, json.dumps({"message": "hello"} if "hello" in question else {"name": "tollhouse/tiny", "ok": True})


def extraction(rng: Random) -> Exchange:
    """Facts of a sentence as an object."""
    name, city, age = rng.choice(words.NAMES), text_value(rng, "city"), rng.randint(18, 90)
    sentence = rng.choice((f"{name} is {age} years old and lives in {city}.", f"{name}, {age}, comes from {city}.",
                           f"My name is {name}, I am {age} and I live in {city}."))  # fmt: skip
    forms = (
        "Extract name, age and city as JSON: {}",
        "Extract the person: {}",
        "Read this as JSON with name, age, city: {}",
    )
    return rng.choice(forms).format(sentence), json.dumps({"name": name, "age": age, "city": city})


@dataclass(frozen=True, slots=True)
class Function:
    """A function that the system message lists: its parameters are ``(name, JSON type)``."""

    name: str
    parameters: tuple[tuple[str, str], ...]

    @property
    def told(self) -> str:
        """The name as a person says it."""
        return self.name.replace("_", " ")


def function(rng: Random) -> Function:
    """A function with between none and two parameters."""
    if rng.random() < 0.2:
        return Function("get_weather", ((rng.choice(("city", "location")), "string"),))
    verb = rng.choice(("get", "find", "set", "send", "look_up", "create", "delete", "search", "book", "read", "check"))
    noun = rng.choice((*words.THINGS, "weather", "time", "user", "order", "price", "news", "stock", made_up(rng)))
    pool = [*TEXT_FIELDS, *NUMBER_FIELDS, "query", "location", "text", "id", made_up(rng)]
    chosen = rng.sample(pool, rng.choices((0, 1, 2), (1, 6, 3))[0])
    return Function(
        f"{verb}_{noun}", tuple((name, "integer" if name in NUMBER_FIELDS else "string") for name in chosen)
    )


def listed(rng: Random, functions: list[Function]) -> str:
    """The functions as JSON, in the manner of a request's ``tools``."""
    found = []
    for one in functions:
        properties = {name: {"type": kind} for name, kind in one.parameters}
        for name, about in properties.items():
            if rng.random() < 0.25:
                about["description"] = rng.choice((f"The {name}.", f"the {name} to use", f"Which {name}"))
        entry: dict[str, object] = {"name": one.name}
        if rng.random() < 0.5:
            entry["description"] = rng.choice(
                (f"{one.told.capitalize()}.", f"Use this to {one.told}.", f"{one.told} for the user")
            )
        schema: dict[str, object] = {"type": "object", "properties": properties, "required": list(properties)}
        entry["parameters"] = schema if rng.random() < 0.7 else {**schema, "additionalProperties": False}
        found.append(entry if rng.random() < 0.8 else {**entry, "strict": True})
    return json.dumps(found)


def request(rng: Random, one: Function) -> Exchange:
    """A question that the function answers, and the call; its values are words of the question."""
    values: dict[str, str | int] = {
        name: rng.randint(1, 99) if kind == "integer" else any_text(rng, "city" if name == "location" else name)
        for name, kind in one.parameters
    }
    shown = [str(value) for value in values.values()]
    if one.name == "get_weather":
        forms = ["What is the weather in {v}?", "How is the weather in {v}?",
                 "What is the weather like in {v} today?", "weather in {v}",
                 "What's the weather in {v}?", "Is it raining in {v}?", "Tell me the weather in {v}",
                 "Weather for {v}, please"]  # fmt: skip
    elif len(shown) == 1:
        forms = [
            "Please {t} {v}",
            "{t}: {v}",
            "I want to {t} for {v}",
            "Use {v} to {t}",
            "Can you {t} for {v}?",
            "{t} with {p} {v}",
        ]
    elif shown:
        forms = ["{t} with {pairs}", "Please {t} with {pairs}", "Can you {t}? {pairs}", "{t}: {pairs}"]
    else:
        forms = ["Please {t}", "{t}", "Can you {t}?", "I want to {t}", "{t} now"]
    pairs = joined([f"{name} {value}" for name, value in values.items()]) if values else ""
    question = rng.choice(forms).format(t=one.told, v=shown[0] if shown else "", p=next(iter(values), ""), pairs=pairs)
    return question, json.dumps({"name": one.name, "arguments": values})


def toolbox(rng: Random) -> list[Function]:
    """Between one and three functions with different names."""
    return list({one.name: one for one in (function(rng) for _ in range(rng.choice((1, 1, 2, 3))))}.values())


def call(rng: Random, rule: str) -> tuple[str, str, str]:
    """A call: the system text under this rule, the question and the call."""
    functions = toolbox(rng)
    question, answer = request(rng, rng.choice(functions))
    return f"{rule}\n{listed(rng, functions)}", question, answer


def tool_result(rng: Random) -> str:
    """What a tool might answer."""
    city, degrees = text_value(rng, "city"), rng.randint(-5, 35)
    return rng.choice((
        json.dumps({"temperature": degrees}),
        f"{degrees} degrees and {rng.choice(('sunny', 'rainy', 'cloudy', 'windy'))}",
        json.dumps(record(rng)), f"{degrees}", f"It is sunny in {city}.", rng.choice(words.THINGS),
        json.dumps({"ok": True}),
        f"{made_up(rng)} {rng.randint(1, 999)}",
    ))  # fmt: skip


OBJECTS = ((given, 5), (invented, 3), (bare, 1), (extraction, 3))
