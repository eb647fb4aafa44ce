"""The safety of one chat, from its prompt to its last word: what is looked at, what is told, what is withheld.

`gateway.pipeline` has one `Watch` for each request whose policy is not off. Theory of operation:

The *prompt* is judged before anything is reserved, in this process; judges that cost money or time are asked once there
is a hold (`jury`). A prompt that is blocked goes nowhere: its hold is released, and tells why. An *answer* is heard as
it comes (`ear`). Where the policy only annotates, its chunks pass by unchanged and the verdict rides on the last of
them. Where it may withhold, the answer takes the inner form, so that there is one way to hold it back (`sieve`),
whatever dialect it began in; so does one whose prompt was masked, for what was masked is put back last.
"""

from collections.abc import Mapping
from typing import Any, Final

from tollhouse.dialects.client import ClientDialect, Counted, Told, Writer
from tollhouse.dialects.filtered import RESULTS
from tollhouse.dialects.reported import PROMPT_SIDE
from tollhouse.dialects.spoken import Asked, asked, asked_beside, said_in_reply
from tollhouse.dialects.spoken_answers import only_text, said_by_tokens
from tollhouse.gateway.ear import Chunk, Ear
from tollhouse.gateway.gate import Visit
from tollhouse.gateway.json_answers import asked_form
from tollhouse.gateway.jury import BATCH_CHARS, COMPLETION_RESULTS, PROMPT_RESULTS, Jury
from tollhouse.gateway.legs import Note
from tollhouse.gateway.safety import Safety, weigh
from tollhouse.gateway.sieve import EVERYTHING, LOOK_CHARS, Sieve
from tollhouse.gateway.unwatched import UNWATCHED, Unwatched
from tollhouse.ledger.holds import Hold
from tollhouse.safety.personal.calls import mask_call
from tollhouse.safety.personal.replies import restore_reply
from tollhouse.safety.personal.streams import Restorer
from tollhouse.safety.personal.vault import Vault
from tollhouse.safety.policy import Decision, Policy
from tollhouse.safety.results import prompt_filter_results
from tollhouse.types.calls import ChatCall
from tollhouse.types.ledger import AttemptRecord

_ENVELOPE: Final = frozenset({"id", "object", "created", "model", "usage", "system_fingerprint", "service_tier"})


class Watch:
    """One exchange."""

    __slots__ = (
        *("_choices", "_client", "_ended", "_json_content", "_jury", "_policy", "_restorer", "_safety"),
        *("_sieve", "_told", "_vault"),
    )

    def __init__(self, safety: Safety, visit: Visit, policy: Policy, client: ClientDialect) -> None:
        self._safety = safety
        self._policy = policy
        self._client = client
        self._jury = Jury(safety, visit, policy, EVERYTHING if policy.completion.blocks else BATCH_CHARS)
        self._sieve: Sieve | None = None
        self._vault: Vault | None = None
        self._restorer: Restorer | None = None
        self._told: Decision | None = None
        """What the client was told of the prompt."""
        self._choices = 1
        self._ended = self._json_content = False

    @property
    def changes(self) -> bool:
        """Whether an answer may have to be changed: it takes the inner form then."""
        return self._policy.completion.blocks or bool(self._policy.masked)

    @property
    def records(self) -> tuple[AttemptRecord, ...]:
        """What judges were asked, for the ledger: they are asked no more."""
        return self._jury.records

    # --- the prompt ------------------------------------------------------------------------------------------

    def read_at_once(self, call: ChatCall) -> ChatCall | None:
        """What `read` gives, where that waits for nothing; else None."""
        if self._policy.masked or not self._jury.judge_at_once(_asked(call)):
            return None
        return self._taken(call)

    async def read(self, call: ChatCall) -> ChatCall:
        """Judges the prompt. The call as it goes on."""
        texts = _asked(call)
        await self._jury.judge_prompt(texts)
        if self._policy.masked and not self._jury.prompt.blocked:
            call = await self._masked(call, weigh(texts))
        return self._taken(call)

    def _taken(self, call: ChatCall) -> ChatCall:
        self._choices = call.body.get("n") or 1
        return call.but(native=None) if call.native is not None and self.changes else call

    async def _masked(self, call: ChatCall, weight_chars: int) -> ChatCall:
        vault = self._vault = Vault(sorted(self._policy.masked))
        self._json_content = asked_form(call.body) is not None
        masked = await self._safety.beside_loop(weight_chars, lambda: mask_call(call, vault))
        self._jury.show(asked(masked.body))
        return masked

    @property
    def admits(self) -> bool:
        """Whether `admit` would let the exchange go on at once."""
        return self._jury.admits

    async def admit(self, hold: Hold) -> None:
        """Lets an exchange go on, or ends it: its hold is released then. Raises `ContentPolicyViolation`,
        `SafetyUnavailable`.
        """
        await self._jury.admit(hold)

    # --- a whole answer --------------------------------------------------------------------------------------

    def hear_at_once(self, reply: dict[str, Any], *, native: bool) -> dict[str, Any] | None:
        """What `hear_reply` gives of an answer that is one text, where that waits for nothing; else None."""
        if native or self._vault is not None or PROMPT_RESULTS in reply:
            return None
        text = only_text(reply)
        if text is None or not self._jury.judge_text(text):
            return None
        withheld = self._jury.withheld
        return _without(reply, withheld) if withheld else reply

    async def hear_reply(self, reply: dict[str, Any], *, native: bool) -> dict[str, Any]:
        """Judges a whole answer. The answer as far as it may be said."""
        ear = self._jury.ear
        if native:
            ear.report(self._client.reported(reply))
            said = list(self._client.heard(reply))
        else:
            ear.take_reports(reply)
            said = list(said_in_reply(reply))
            said += said_by_tokens(reply) if ear.hears_tokens else ()
        await self._safety.beside_loop(weigh(said), lambda: ear.hear_all(said))
        await self._jury.judge_answer()
        if withheld := self._jury.withheld:
            reply = _without(reply, withheld)
        return restore_reply(reply, self._vault, json_content=self._json_content) if self._vault else reply

    # --- a stream --------------------------------------------------------------------------------------------

    def noting(self, note: Note | None, *, native: bool) -> Note | None:
        """What each piece of a stream passes before it is written; ``note`` is what it passes already."""
        hear = self._hear_native if native else self._hear
        if self._policy.completion.blocks:
            hold_chars = LOOK_CHARS if self._policy.holds_back else 0
            if self._jury.gates_answers:
                hold_chars = EVERYTHING
            self._sieve = Sieve(self._jury.ear, self._jury.allows, hold_chars, self._choices)
        if self._vault:
            self._restorer = Restorer(self._vault, json_content=self._json_content)
        if self._sieve is not None or self._restorer is not None:
            hear = self._sift
        return hear if note is None else lambda chunks: hear(note(chunks))

    def _hear(self, chunks: list[Chunk]) -> list[Chunk]:
        ear = self._jury.ear
        for chunk in chunks:
            ear.hear_chunk(chunk)
        return chunks

    def _hear_native(self, chunks: list[Chunk]) -> list[Chunk]:
        ear = self._jury.ear
        for chunk in chunks:
            ear.hear(self._client.heard(chunk))
            ear.report(self._client.reported(chunk))
        return chunks

    def _sift(self, chunks: list[Chunk]) -> list[Chunk]:
        """Hears, holds back and restores; once the stream has ended, all that is left."""
        if self._sieve is None:
            chunks = self._hear(chunks)
        else:
            chunks = self._sieve.take(chunks) + (self._sieve.finish() if self._ended else [])
        if self._restorer is not None:
            chunks = self._restorer.feed(chunks) + (self._restorer.finish() if self._ended else [])
        return chunks

    def marking(self, note: Note | None) -> Note | None:
        """The same, with what was found in the prompt on the first chunk, for dialects that tell it there."""
        if note is None or not self._client.by_choice:
            return note

        def marked(chunks: list[Chunk]) -> list[Chunk]:
            chunks = note(chunks)
            if chunks and self._told is None:
                self._jury.merge_prompt()
                self._told = self._jury.prompt
                chunks = _with_opening(chunks, {PROMPT_RESULTS: self._jury.prompt_results})
            return chunks

        return marked

    @property
    def cut(self) -> bool:
        """Whether the answer has ended here, whatever its host goes on to say."""
        return self._sieve is not None and self._sieve.cut

    async def end(self) -> None:
        """A stream has ended. What may still be given of it is what `noting` gives for an empty piece from now on."""
        self._ended = True
        await self._jury.judge_answer(self._sieve.filtered if self._sieve is not None else frozenset())

    def counted(self, writer: Writer) -> Counted:
        """What a stream is metered by where its host does not say: what was read of it, where some of that may be held
        back. It was generated for this client, who may have been kept from it or have left.
        """
        return _Counted(writer, self._jury.ear) if self._sieve is not None else writer

    @property
    def withheld(self) -> bool:
        """Whether anything of the answer was kept from the client."""
        return bool(self._jury.withheld)

    def reports(self) -> Chunk:
        """What the upstream said of safety, as a chunk that says nothing else: for whoever keeps the answer."""
        upstream = self._jury.ear.upstream
        choices = [
            {"index": choice, "delta": {}, "finish_reason": None, RESULTS: results}
            for choice, results in upstream.items()
            if choice != PROMPT_SIDE
        ]
        prompt = upstream.get(PROMPT_SIDE)
        return {"choices": choices, **({PROMPT_RESULTS: prompt_filter_results(prompt)} if prompt is not None else {})}

    # --- what is told ----------------------------------------------------------------------------------------

    def notes(self, others: dict[str, Any]) -> dict[str, Any]:
        """These members of an answer's last words, with what is told there of its safety."""
        if self._client.by_choice:  # told on the first chunk, and again where more is known by now
            known = self._told is self._jury.prompt
            return others if known else {**others, PROMPT_RESULTS: self._jury.prompt_results}
        told = [
            {"index": choice, "content_filter_results": results} for choice, results in sorted(self.results.items())
        ]
        return {**others, PROMPT_RESULTS: self._jury.prompt_results, COMPLETION_RESULTS: told}

    @property
    def results(self) -> Mapping[int, Told]:
        """``content_filter_results`` of each choice."""
        return self._jury.results

    def write_down(self, hold: Hold) -> None:
        """Tells the ledger and the metrics what was decided. To be called once, before the hold is resolved."""
        self._jury.write_down(hold)

    def close(self) -> None:
        """The exchange is over, however it ended."""
        self._jury.close()


def begin_watch(safety: Safety, visit: Visit, alias_policy: str, client: ClientDialect) -> Watch | Unwatched:
    """The watch over a call of an alias."""
    policy = visit.snapshot.policies.of(visit.principal, alias_policy)
    return UNWATCHED if policy.is_off else Watch(safety, visit, policy, client)


def _asked(call: ChatCall) -> list[Asked]:
    """All the texts of a call."""
    return asked(call.body) + asked_beside(call) if call.native is not None else asked(call.body)


class _Counted:
    """A stream that was cut, as it is metered."""

    __slots__ = ("_ear", "_writer")

    def __init__(self, writer: Writer, ear: Ear) -> None:
        self._writer = writer
        self._ear = ear

    def tokens(self) -> int:
        return max(self._writer.tokens(), self._ear.tokens())

    def sound_tokens(self) -> int:
        return self._writer.sound_tokens()


def _with_opening(chunks: list[Chunk], members: dict[str, Any]) -> list[Chunk]:
    """Chunks with some members on the first; where that ends a choice, on one before it, for an end is told last."""
    first = chunks[0]
    if any(choice.get("finish_reason") for choice in first["choices"]):
        opening = {"choices": [{"index": 0, "delta": {}, "finish_reason": None}]}
        return [{**opening, **members}, *chunks]
    return [{**first, **members}, *chunks[1:]]


def _without(reply: dict[str, Any], withheld: frozenset[int]) -> dict[str, Any]:
    """An answer without the words of some choices, and without what hosts say beside them that may repeat them."""
    choices = [_emptied(choice) if choice["index"] in withheld else choice for choice in reply["choices"]]
    if len(withheld) >= len(choices):
        reply = {name: reply[name] for name in reply.keys() & _ENVELOPE}
    return {**reply, "choices": choices}


def _emptied(choice: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, "refusal": None}
    return {"index": choice["index"], "message": message, "finish_reason": "content_filter", "logprobs": None}
