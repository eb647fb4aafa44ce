"""`tollhouse/sim`: a simulated model that honours the whole request, named for what it is. Called by the gateway.

The path of an answer: `engine` takes the request, `request` reads it, `say` below decides what is said (`tools`,
`schema`, `text`), `completion` cuts and counts it, `wire` writes it, and `inprocess` plays it in time.
"""

import itertools
import time
from collections.abc import Callable

from tollhouse.engines.sim import text, tokens, tools
from tollhouse.engines.sim.completion import Said
from tollhouse.engines.sim.document import SchemaProblem
from tollhouse.engines.sim.draws import Draws
from tollhouse.engines.sim.engine import Engine, Nature, fresh
from tollhouse.engines.sim.hints import Hints
from tollhouse.engines.sim.refusal import Refusal
from tollhouse.engines.sim.request import Request
from tollhouse.engines.sim.schema import instance

NATURE = Nature(
    "fp_tollhouse_sim_1",
    scripted=True,
    input_kinds=("text", "image", "audio", "pdf"),
    output_kinds=("text", "audio"),
)


class Sim(Engine):
    """The simulated model as a connector; ``Sim()`` is all it needs."""

    def __init__(self, *, now_s: Callable[[], float] = time.time, entropy: Callable[[], int] = fresh) -> None:
        super().__init__(say, NATURE, now_s=now_s, entropy=entropy)


def say(request: Request, index: int, draws: Draws) -> Said:
    """What the simulated model says for one choice. Raises `Refusal`."""
    script = request.script
    if script.reply is not None:
        return Said(tokens.split(script.reply)[: script.tokens])
    made = tools.calls(request, draws.fork())
    if made:
        return Said([], tuple(made))
    if request.json_form != "text":
        return Said(tokens.split(as_json(request, draws)))
    said = text.answer(
        request.prompt, request.heard, verbosity=request.verbosity, place=(index, request.n), draws=draws
    )
    if script.tokens is None:
        return Said(tokens.split(said))
    endless = (piece for part in text.prolonged(said, draws) for piece in tokens.stream(part))
    return Said(list(itertools.islice(endless, script.tokens)))


def as_json(request: Request, draws: Draws) -> str:
    """The answer in the asked-for JSON. Raises `Refusal` when its schema cannot be honoured."""
    if request.json_form == "json_object":
        opening = text.answer(request.prompt, request.heard, verbosity="low", place=(0, 1), draws=draws)
        return tools.json_text({"simulated": True, "model": request.model, "reply": opening})
    spec = request.body["response_format"]["json_schema"]
    try:
        return tools.json_text(instance(request.json_schema, Hints(request.heard), draws, gone=request.gone))
    except SchemaProblem as problem:
        raise Refusal(
            f"Invalid schema for response_format {str(spec.get('name'))!r}: {problem}",
            param="response_format",
            code="invalid_json_schema",
        ) from None
