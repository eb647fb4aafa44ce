"""Questions that the model cannot answer, made from templates in great variety; each is answered with one of
`FALLBACKS`.

They teach where the model's knowledge ends. `HELD` forms and the last words of each list are never trained on: `probes`
uses them.
"""
# ruff: noqa: SIM905 (lists of words read best as text)

from random import Random

import words
from skills import made_up

FALLBACKS = (
    "I am only a small demo model and cannot answer that. Connect a provider to Tollhouse, and a real model will.",
    "That is beyond a small demo model like me. Please connect a provider to Tollhouse and ask a real model.",
)

FORMS = tuple(
    "Explain {topic}|What is {topic}?|Tell me about {topic}|How does {topic} work?|Explain {topic} to a "
    "child|What do you know about "
    "{topic}?|Write an essay about {topic}|Give me a summary of {topic}|Why is {topic} important?|Write a blog "
    "post about {topic}|"
    "What are the basics of {topic}?|Compare {topic} and {topic}|What is the difference between {topic} and {topic}?|"
    "Describe {topic} in simple terms|What is the history of {topic}?|Teach me {topic}|Write a poem about {topic}|"
    "Write a haiku about {topic}|Give me {number} facts about {topic}|List {number} ideas about {topic}|Write a "
    "speech on {topic}|"
    "What are the pros and cons of {topic}?|Who invented {topic}?|When did {topic} begin?|What causes {topic}?|"
    "How do I {verb} a {thing}?|How can I {verb} my {adjective} {thing}?|How long does it take to {verb} a {thing}?|"
    "Write a {adjective} email to my {person} about a {thing}|Write a letter to the {person}|What does a "
    "{person} earn?|"
    "Can you help me {verb} a {thing}?|Help me {verb} my {thing}|Should I {verb} my {thing}?|Where can I {verb} "
    "a {thing}?|"
    "My {thing} is {adjective}, what should I do?|My {person} wants to {verb} the {thing}|What is the best "
    "{adjective} {thing}?|"
    "How much does a {thing} cost?|Plan a {adjective} {thing} for {number} people|Plan a trip to {place}|What "
    "should I see in {place}?|"
    "What is the population of {place}?|What is the weather in {place}?|What is the capital of {place}?|Where is "
    "{place}?|"
    "Who is the president of {place}?|What time is it in {place}?|How far is it from {place} to {place}?|Is "
    "{place} safe?|"
    "What language do they speak in {place}?|How do I become a {person}?|What is a {nonsense}?|Who is {name} "
    "{nonsense}?|"
    "What does {nonsense} mean?|Tell me about {nonsense}|Define {nonsense}|Explain {nonsense} and "
    "{nonsense}|{nonsense} {nonsense}?|"
    "Who was {topic}?|What is {big} + {big}?|{mid} + {mid}|What is {mid} - {number}?|{mid} * {mid}|How much is "
    "{mid} plus {mid}?|What is {big} * {big}?|{big} / {number}|What is the square root of "
    "{big}?|If a {thing} costs {number} and I {verb} {number} of them, how much do I pay?|A {person} has "
    "{number} {thing}s and loses {number}. "
    "How many are left?|Write a Python function to {verb} a {thing}|Write code that can {verb} a {thing}|Write a "
    "SQL query for the "
    "{thing} table|Fix this code: def {nonsense}({thing}): return {verb}({thing})|Write a {adjective} class for "
    "a {thing}|"
    "Translate this into {tongue}: the {adjective} {thing} is {adjective}|Summarise this text: {text}|Correct "
    "this sentence: the {thing} "
    "{verb} a {adjective} {person}|Rewrite this: {text}|Is this sentence {adjective}? {text}|Classify this "
    "review: the {thing} was "
    "{adjective}|What is the sentiment of: my {thing} is {adjective}|Proofread: {text}|Act as a {person} and "
    "{verb} the {thing}|"
    "You are a {person}. How would you {verb} a {thing}?|Pretend to be a {person}|What would a {person} say "
    "about {topic}?|"
    "What is the news today?|What is the date today?|What day is it?|What time is it?|What is the weather like "
    "today?|"
    "Who won the {thing} game?|What is the meaning of life?|Is there a god?|Do you love me?|What should I eat?|I "
    "feel {adjective}|"
    "I am {adjective} because of my {person}|My {person} is ill, what can I do?|Why is the sky {adjective}?|Why "
    "do {person}s {verb}?|"
    "What happens if I {verb} a {adjective} {thing}?|Is it {adjective} to {verb} a {thing}?|How do you {verb} "
    "{topic}?|"
    "Recommend a {adjective} {thing}|Recommend a book about {topic}|Suggest a name for my {thing}|Name a "
    "{adjective} {person}|"
    "Give me a recipe for {thing} with {thing}|How many {thing}s are in {place}?|What year was the {thing} invented?|"
    "List {number} {thing}s|List {number} {adjective} {person}s|Name {number} {topic}|Who wrote {nonsense}?|"
    "Generate a {adjective} {thing} plan|Create a table of {thing}s and {thing}s|Draft a contract for a {thing}|"
    "What are the side effects of {nonsense}?|Can I take {nonsense} with {nonsense}?|How do I treat a {thing}?|"
    "Convert {number} miles to kilometres|How many seconds are in {number} days?|What is {number} percent of {big}?|"
    "Debate {topic}|Argue against {topic}|Quiz me on {topic}|Make a lesson on {topic}|Outline a novel about a "
    "{person}|"
    "Continue: the {person} opened the {thing} and|Finish this sentence: {text}|What rhymes with {thing}?|Spell "
    "{nonsense}|"
    "How do you spell {thing}?|How many letters are in {thing}?|Reverse the word {thing}|Sort these words: "
    "{thing} {thing} {thing}|"
    "Which is bigger, {big} or {big}?|Which is better, a {thing} or a {thing}?|Why did my {person} {verb} my "
    "{thing}?|"
    "Was ist {topic}?|Wie kann ich mein {thing} {verb}?|Erkläre mir {topic}|Qu'est-ce que {topic} ?|Comment "
    "{verb} une {thing} ?|"
    "Explique-moi {topic}|¿Qué es {topic}?|¿Cómo puedo {verb} un {thing}?|Cos'è {topic}?|Come posso {verb} "
    "{thing}?|{topic}|{adjective} {thing}|"
    "{verb} the {adjective} {thing}|the {thing} and the {person}|{text} {text}|{text}|Can you {verb}?|Could you "
    "{verb} {topic} for me?|"
    "Tell me everything about {place}|I want to {verb} {topic}|I need a {adjective} {thing}|Let's {verb} a {thing}|"
    "Let us talk about {topic}|Do you like {topic}?|Do you know {name}?|Have you seen my {thing}?|What do you "
    "think of {topic}?|"
    "Tell me something {adjective}|Tell me a secret|Surprise me with a {thing}|Give me advice on {topic}|How old "
    "is {name}?|"
    "Where does {name} live?|Who is {name}?|How do I hack a {thing}?|How do I steal a {thing}?|How do I kill a "
    "{thing}?|"
    "How do I make a bomb?|Write an insult for my {person}|How can I cheat in a {thing}?".split("|")
)

HELD = tuple(
    "What can you tell me about {topic}?|Give me an introduction to {topic}|Is {topic} hard to learn?|Which "
    "{thing} should I {verb} first?|"
    "Write a {adjective} review of a {thing}|How would a {person} {verb} a {thing}?|Who rules {place}?|What do "
    "people eat in {place}?|"
    "Write a JavaScript program to {verb} {thing}s|Why can't I {verb} my {thing}?|How risky is "
    "{topic}?|Paraphrase: {text}|"
    "What is the tallest {thing} in {place}?|Draw me a {adjective} {thing}|What came before {topic}?|Are "
    "{person}s {adjective}?|"
    "Make a timeline of {topic}|Solve for x: {number}x + {number} = {big}|How do {person}s prepare for "
    "{topic}?|Does {nonsense} exist?".split("|")
)
TONGUES = "French German Spanish Italian Dutch Polish Swedish Latin Greek Turkish Arabic Hindi Korean Japanese".split()


def part(pool: list[str], rng: Random, *, unseen: bool) -> str:
    """One of a list. Every eighth is kept for probes."""
    while True:
        at = rng.randrange(len(pool))
        if (at % 8 == 7) == unseen:
            return pool[at]


def sentence(rng: Random, *, unseen: bool = False) -> str:
    """A plain sentence of no meaning in particular."""
    one = {
        name: part(pool, rng, unseen=unseen)
        for name, pool in (
            ("thing", words.THINGS),
            ("adjective", words.ADJECTIVES),
            ("person", words.PEOPLE),
            ("verb", words.VERBS),
        )
    }
    other = part(words.THINGS, rng, unseen=unseen)
    return rng.choice((
        "The {person} bought a {adjective} {thing} and a {other}.",
        "We had to {verb} the {thing} before the {other} came.",
        "Nobody could {verb} the {adjective} {other}.", "A {thing} is not a {other}, said the {person}.",
        "In spring the {person} sold the {thing}, and the {other} too.",
    )).format(other=other, **one)  # fmt: skip


def prompt(rng: Random, *, unseen: bool = False) -> str:
    """One question. ``unseen`` draws forms and words that training never uses."""
    text = rng.choice(HELD if unseen else FORMS)
    while "{" in text:
        start = text.index("{")
        name = text[start + 1 : text.index("}", start)]
        text = text.replace("{" + name + "}", value(name, rng, unseen=unseen), 1)
    return text


def value(name: str, rng: Random, *, unseen: bool) -> str:
    """What to put in place of ``{name}``."""
    pools = {"topic": words.TOPICS, "thing": words.THINGS, "verb": words.VERBS, "adjective": words.ADJECTIVES,
             "person": words.PEOPLE, "place": words.PLACES, "tongue": TONGUES, "name": words.NAMES}  # fmt: skip
    if name in pools:
        return made_up(rng) if rng.random() < 0.06 else part(pools[name], rng, unseen=unseen)
    if name == "number":
        return str(rng.randint(2, 99))
    if name == "mid":
        return str(rng.randint(11, 999))
    if name == "big":
        return str(rng.randint(101, 99999))
    if name == "nonsense":
        return made_up(rng)
    return " ".join(sentence(rng, unseen=unseen) for _ in range(rng.choice((1, 1, 2, 3, 6))))
