"""The matrix as a table of the documentation, from the data that the tests assert. `tests.docs.generate` puts it there.

A row is a feature, a column what the host speaks. A cell that all clients share has one word; one that differs says
whose it is.
"""

from tests.matrix.losses import is_passed, is_refused, losses_of
from tests.matrix.scenarios import SCENARIOS, Scenario
from tests.matrix.upstreams.every import HOSTS

COLUMNS = {
    "openai": "OpenAI",
    "responses": "Responses",
    "anthropic": "Anthropic",
    "gemini": "Gemini",
    "vertex": "Vertex",
    "bedrock": "Bedrock",
    "azure": "Azure",
    "cohere": "Cohere",
    "ollama": "Ollama",
    "llamacpp": "llama.cpp",
}
CLIENTS = {"openai": "OpenAI", "anthropic": "Anthropic", "gemini": "Gemini"}
PARTS = {"reasoning.max_tokens": "budget", "top_p": "top_p"}
"""Losses of a part of what their row is about."""
ABOVE = """
Every client dialect was asked for every feature before every kind of host, whole and streamed, and both what the host
was sent and what the client heard were compared with what was said. `yes`: the host is told it, or answers with it, in
its own words. `emulated`: it is honoured by other means. `changed`, `dropped`: reported with each answer. `own`: an
OpenAI client is passed through, also where it says what OpenAI's dialect has not. `refused`: a 400 before anything is
sent, or the next target. A feature that a client's dialect cannot ask for is not asked by it.

"""


def render() -> str:
    """The table, in Markdown."""
    rows = [["feature", *COLUMNS.values()], ["---"] * (len(COLUMNS) + 1)]
    rows += [[scenario.feature, *[_cell(scenario, name) for name in HOSTS]] for scenario in SCENARIOS]
    return ABOVE.lstrip("\n") + "\n".join([f"| {' | '.join(row)} |" for row in rows]) + "\n"


def _cell(scenario: Scenario, upstream: str) -> str:
    words: dict[str, list[str]] = {}
    for client in scenario.clients:
        words.setdefault(_word(scenario, client, upstream), []).append(CLIENTS[client])
    if len(words) == 1:
        return next(iter(words))
    return "; ".join([f"{word} ({', '.join(clients)})" for word, clients in words.items()])


def _word(scenario: Scenario, client: str, upstream: str) -> str:
    if is_refused(upstream, scenario.name):
        return "refused"
    if is_passed(client, upstream, scenario.name):
        return "own"
    lost = losses_of(client, upstream, scenario.name)
    param, _, how = lost.rpartition("=")
    return f"{PARTS[param]} {how}" if param in PARTS else how or "yes"
