"""A finished answer of an embedded model, before it is written to the wire: its choices, cut to size, and usage. Pure.

Sim and guide share this: each says something for every choice (`Said`), and here stop texts, limits and counting are
applied the same way, so that usage always equals what is sent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tollhouse.engines.sim import speech, tokens
from tollhouse.engines.sim.document import Abandoned
from tollhouse.engines.sim.draws import Draws
from tollhouse.engines.sim.refusal import Refusal, wrong_value
from tollhouse.engines.sim.request import Request
from tollhouse.engines.sim.tools import Call

CONTEXT_TOKENS = 1 << 22
"""The longest prompt, in the tokens of `tokens`: about 20 MB of common text."""
TOTAL_MAX = 200_000
LOGPROBS_MAX = 100_000
SEEDED_AT = 1_767_225_600  # 2026-01-01T00:00:00Z: the `created` of every seeded answer, so that its bytes repeat
EFFORTS = {"none": 0, "minimal": 8, "low": 32, "medium": 128, "high": 512, "xhigh": 1024, "max": 2048}
LETTERS = 29  # what follows chatcmpl- in OpenAI's identifiers


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says for one choice, before stop texts and limits: text as tokens, and calls."""

    pieces: list[str]
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class Called:
    """A call as it is sent: with its id, its argument tokens perhaps cut off."""

    id: str
    call: Call
    pieces: tuple[str, ...]

    @property
    def legacy(self) -> bool:
        """Whether it answers the old ``functions`` field."""
        return self.call.tool.place.startswith("functions")


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice as it is sent."""

    index: int
    pieces: tuple[str, ...]
    calls: tuple[Called, ...]
    finish_reason: str
    reasoning: int
    probabilities: str
    """The key that its logprobs are drawn from."""
    sound: bytes = b""
    sound_id: str = ""

    @property
    def spoken(self) -> int:
        """The tokens that a client sees of it: text, and names and arguments of calls."""
        return len(self.pieces) + sum(1 + len(called.pieces) for called in self.calls)


@dataclass(frozen=True, slots=True)
class Completion:
    """The whole answer. ``head`` is what every chunk repeats."""

    request: Request
    head: dict[str, Any]
    choices: tuple[Choice, ...]
    usage: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Chance:
    """What is not in the request: the time, and a number nobody can guess."""

    now_s: int
    entropy: int


Speaker = Callable[[Request, int, Draws], Said]
"""Request, index of the choice, draws -> what is said. Raises `Refusal`."""


def complete(request: Request, say: Speaker, chance: Chance, fingerprint: str) -> Completion:
    """The answer to a request. Raises `Refusal`, and `Abandoned` when the client has left.

    With a seed everything depends on the request alone, ``id`` and ``created`` too; with temperature or top_p 0 the
    text does; otherwise each answer is its own.
    """
    text = request.digest_text()
    names = Draws(f"{chance.entropy}" if request.seed is None else f"names {request.seed} {text}")
    if request.seed is not None:
        root = Draws(f"seed {request.seed} {text}")
    else:
        root = Draws(f"greedy {text}" if request.greedy else f"{chance.entropy} {text}")
    check_size(request)
    choices: list[Choice] = []
    for index in range(request.n):
        if request.gone():
            raise Abandoned
        choices.append(cut(request, index, say(request, index, root.fork()), names, root))
    head: dict[str, Any] = {
        "id": f"chatcmpl-{names.name(LETTERS)}",
        "created": chance.now_s if request.seed is None else SEEDED_AT,
        "model": request.model,
    }
    tier = request.body.get("service_tier")
    if isinstance(tier, str):
        head["service_tier"] = {"fast": "priority", "auto": "default"}.get(tier, tier)
    head["system_fingerprint"] = fingerprint
    return Completion(request, head, tuple(choices), usage(request, tuple(choices)))


def check_size(request: Request) -> None:
    """Raises `Refusal` for a prompt over the context, and an answer that would take more memory than it is worth."""
    if request.prompt.tokens > CONTEXT_TOKENS:
        raise Refusal(
            f"This model's maximum context length is {CONTEXT_TOKENS} tokens. However, your messages resulted in "
            f"{request.prompt.tokens} tokens. Please reduce the length of the messages.",
            param="messages",
            code="context_length_exceeded",
        )
    script = request.script
    length = request.n * max(script.tokens or 0, len(script.reply or "") // 4)
    if length > TOTAL_MAX:
        raise wrong_value("tollhouse_sim.tokens", f"all choices together have at most {TOTAL_MAX} tokens.")
    if request.top is not None and length * (1 + request.top) > LOGPROBS_MAX:
        raise wrong_value("tollhouse_sim.tokens", f"with logprobs, at most {LOGPROBS_MAX} of them are sent.")


def cut(request: Request, index: int, said: Said, names: Draws, root: Draws) -> Choice:
    """A choice cut at its stop text and its limit."""
    reasoning = EFFORTS.get(request.effort or "none", 0)
    left = None
    if request.limit is not None:
        # Reasoning counts towards the limit, as with OpenAI, but leaves half of it for what can be seen.
        reasoning = min(reasoning, request.limit // 2)
        left = request.limit - reasoning
    pieces, reason = stopped(said.pieces, request.stop), "stop"
    if left is not None and len(pieces) > left:
        pieces, reason = pieces[:left], "length"
    calls: list[Called] = []
    for call in said.calls if reason == "stop" else ():
        room = None if left is None else left - len(pieces) - sum(1 + len(made.pieces) for made in calls) - 1
        written = tokens.split(call.text)
        if room is not None and room < 0:
            reason = "length"
            break
        calls.append(Called(f"call_{names.name(24)}", call, tuple(written if room is None else written[:room])))
        reason = "function_call" if calls[-1].legacy else "tool_calls"
        if room is not None and len(written) > room:
            reason = "length"
            break
    sound = speech.pcm16(request.voice.name, len(pieces)) if request.voice and not calls else b""
    return Choice(
        index,
        tuple(pieces),
        tuple(calls),
        request.script.finish_reason or reason,
        reasoning,
        f"{root.below(1 << 62)}",
        sound,
        f"audio_{names.name(24)}" if sound else "",
    )


def stopped(pieces: list[str], stops: tuple[str, ...]) -> list[str]:
    """The tokens up to the first stop text, which is not among them."""
    if not stops:
        return pieces
    text = "".join(pieces)
    found = [at for at in (text.find(stop) for stop in stops) if at >= 0]
    return tokens.split(text[: min(found)]) if found else pieces


def usage(request: Request, choices: tuple[Choice, ...]) -> dict[str, Any]:
    """The usage object: the prompt once, every choice as it was sent."""
    reasoning = sum(choice.reasoning for choice in choices)
    sound = sum(speech.tokens(choice.sound) for choice in choices)
    spoken = sum(choice.spoken for choice in choices) + reasoning + sound
    accepted, rejected = prediction(request, choices)
    return {
        "prompt_tokens": request.prompt.tokens,
        "completion_tokens": spoken,
        "total_tokens": request.prompt.tokens + spoken,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": request.prompt.audio_tokens},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": sound,
            "accepted_prediction_tokens": accepted,
            "rejected_prediction_tokens": rejected,
        },
    }


def prediction(request: Request, choices: tuple[Choice, ...]) -> tuple[int, int]:
    """How many predicted tokens were right (the answer's beginning, word for word), and how many were not."""
    if not request.predicted:
        return 0, 0
    predicted = tokens.split(request.predicted)
    accepted = 0
    for choice in choices:
        for guess, piece in zip(predicted, choice.pieces, strict=False):
            if guess != piece:
                break
            accepted += 1
    return accepted, len(predicted) * len(choices) - accepted
