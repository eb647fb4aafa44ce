"""What the cells of the matrix cannot do, as they report it: asserted by `test_cells`, published by `table`.

Nothing else is lost anywhere: a cell that is not here answers with ``x-tollhouse-fidelity: full``.
"""

ANYONE = ""

LOSSES: dict[tuple[str, str, str], str] = {
    ("forced tool", ANYONE, "ollama llamacpp"): "tool_choice=emulated",
    ("named tool", ANYONE, "ollama llamacpp cohere"): "tool_choice=emulated",
    ("no tool", ANYONE, "bedrock"): "tool_choice=emulated",
    ("one tool at a time", ANYONE, "gemini vertex bedrock cohere ollama"): "parallel_tool_calls=dropped",
    ("failed result", "anthropic gemini", "openai azure llamacpp"): "is_error=emulated",
    ("failed result", ANYONE, "responses"): "messages[].is_error=emulated",
    ("failed result", ANYONE, "cohere ollama"): "messages[2].is_error=emulated",
    ("picture result", "anthropic gemini", "openai azure llamacpp"): "messages=emulated",
    ("picture result", ANYONE, "cohere"): "messages=emulated",
    ("thinking", "anthropic", "openai azure llamacpp responses"): "reasoning.max_tokens=changed",
    ("thinking", "anthropic", "ollama"): "reasoning.max_tokens=dropped",
    ("thinking", "openai gemini", "ollama"): "reasoning_effort=changed",
    ("thinking", "openai", "vertex"): "reasoning_effort=changed",
    ("thinking", "openai gemini", "cohere"): "reasoning_effort=emulated",
    ("cache", ANYONE, "gemini vertex responses"): "cache_control=emulated",
    ("cache", ANYONE, "cohere ollama"): "cache_control=dropped",
    ("sampling", "openai gemini", "anthropic"): "top_p=dropped",
    ("sampling", ANYONE, "bedrock"): "top_p=dropped",
    ("top_k", "anthropic gemini", "openai azure llamacpp"): "top_k=dropped",
    ("top_k", ANYONE, "responses"): "top_k=dropped",
    ("stop", ANYONE, "responses"): "stop=dropped",
    ("seed", ANYONE, "anthropic bedrock responses"): "seed=dropped",
    ("logprobs", ANYONE, "anthropic bedrock"): "logprobs=dropped",
    ("n", ANYONE, "responses anthropic bedrock cohere ollama"): "n=emulated",
}
"""Scenario, clients, upstreams; as the header has it."""
PASSED: dict[str, str] = dict.fromkeys(("failed result", "picture result", "cache", "top_k"), "openai azure llamacpp")
"""What OpenAI's dialect has not: an OpenAI client that says it knows its host, which is sent it as it is."""
REFUSED: dict[str, str] = {"documents": "cohere ollama"}
"""A request that these hosts cannot be given: 400 ``unsupported_parameter`` before anything is sent."""


def losses_of(client: str, upstream: str, scenario: str) -> str:
    """What a cell reports; empty where all is honoured."""
    for (row, clients, upstreams), lost in LOSSES.items():
        if row == scenario and upstream in upstreams.split() and (not clients or client in clients.split()):
            return lost
    return ""


def is_passed(client: str, upstream: str, scenario: str) -> bool:
    """Whether a cell is the client's own affair with its host."""
    return client == "openai" and upstream in PASSED.get(scenario, "").split()


def is_refused(upstream: str, scenario: str) -> bool:
    """Whether a cell cannot be."""
    return upstream in REFUSED.get(scenario, "").split()
