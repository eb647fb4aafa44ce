"""The safety of one request to an endpoint that is relayed: what `gateway.watch` is for chat.

`gateway.relay` has one `RelayWatch` for each request whose policy is not off, so that no endpoint is a way around a
policy. Theory of operation: prompts are judged as in chat, wherever an endpoint puts them (`dialects.spoken_relay`),
and blocked before anything is sent. Answers keep the host's own form, so there is no way to hold back a part of one:
where an answer may have to be changed, because the policy withholds or something was masked, it has to be whole, and
JSON. Who asks for a stream then is told so. Where the policy only annotates, events pass by, are heard, and the verdict
rides on the last of them. Answers that are no text (vectors, images, sound) are not judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from tollhouse.dialects.filtered_relay import (
    Rewriter,
    annotate_choices,
    asks_for_json,
    restored,
    reworded,
    withheld,
)
from tollhouse.dialects.spoken import Asked
from tollhouse.dialects.spoken_relay import (
    ANSWERS,
    CHOICES,
    FIELDS,
    Call,
    Stream,
    asked,
    reported,
    said,
    stored,
    texts_in,
    unreadable,
)
from tollhouse.errors import InvalidRequest
from tollhouse.gateway.gate import Visit
from tollhouse.gateway.jury import COMPLETION_RESULTS, PROMPT_RESULTS, Jury
from tollhouse.gateway.safety import Safety, weigh
from tollhouse.gateway.unwatched import Unwatched
from tollhouse.ledger.holds import Hold
from tollhouse.safety.personal.calls import mask_json
from tollhouse.safety.personal.vault import Vault
from tollhouse.safety.policy import Policy
from tollhouse.types.calls import RelayCall
from tollhouse.types.ledger import AttemptRecord
from tollhouse.validate.multipart import FormCall

_JSON_TRANSCRIPTS = frozenset({None, "", "json", "verbose_json", "diarized_json"})


class RelayWatch:
    """One exchange."""

    __slots__ = (*("_ear", "_jury", "_kind", "_makes_json", "_policy", "_safety", "_stream", "_unread"), "_vault")

    def __init__(self, safety: Safety, visit: Visit, policy: Policy, kind: str) -> None:
        self._safety = safety
        self._policy = policy
        self._kind = kind
        self._jury = Jury(safety, visit, policy)
        self._ear = self._jury.ear
        self._unread = self._makes_json = False
        self._stream = Stream(kind)
        self._vault: Vault | None = None

    @property
    def whole(self) -> bool:
        """Whether only a whole answer in JSON will do."""
        return self._kind in ANSWERS and (self._policy.completion.blocks or self._vault is not None)

    @property
    def records(self) -> tuple[AttemptRecord, ...]:
        """What judges were asked, for the ledger: they are asked no more."""
        return self._jury.records

    # --- the prompt ------------------------------------------------------------------------------------------

    async def read_relayed(self, call: Call) -> Call:
        """Judges the prompt. The call as it goes on. Raises `InvalidRequest` for what a policy must see and cannot."""
        policy = self._policy
        if field := unreadable(call):
            if policy.guards_prompts:
                raise _unreadable(field)
            self._unread = True
        else:
            texts = asked(call)
            await self._jury.judge_prompt(texts)
            if policy.masked and not self._jury.prompt.blocked:
                call = await self._masked(call, weigh(texts))
                self._jury.show(asked(call))
        if self.whole and not self._jury.prompt.blocked:
            _require_whole(call)
        return call

    async def _masked(self, call: Call, weight_chars: int) -> Call:
        vault = Vault(sorted(self._policy.masked))
        rewriter = Rewriter(vault.mask, lambda text: mask_json(text, vault))
        masked = await self._safety.beside_loop(weight_chars, lambda: reworded(call, rewriter))
        if not vault.found:
            return call
        if field := stored(call):
            raise _mixed(field)
        self._vault, self._makes_json = vault, asks_for_json(call)
        return masked

    async def admit(self, hold: Hold) -> None:
        """Lets an exchange go on, or ends it: its hold is released then. Raises `ContentPolicyViolation`,
        `SafetyUnavailable`.
        """
        await self._jury.admit(hold)

    # --- the answer ------------------------------------------------------------------------------------------

    async def hear_answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Judges a whole answer. The answer as far as it may be said, annotated but for its root."""
        pieces = list(said(self._kind, answer))
        await self._safety.beside_loop(weigh(pieces), lambda: self._ear.hear(pieces))
        self._ear.report(reported(self._kind, answer))
        await self.end()
        answer = withheld(self._kind, answer, lambda choice: self._jury.decision(choice).blocked)
        if self._vault is not None:
            restore = self._vault.restore_json if self._makes_json else self._vault.restore
            answer = restored(self._kind, answer, Rewriter(restore, self._vault.restore_json))
        self.tell([answer])
        return answer

    def hear_event(self, event: Mapping[str, Any]) -> None:
        """Hears one event of a stream."""
        self._ear.hear(self._stream.said(event))
        self._ear.report(reported(self._kind, event))

    async def end(self) -> None:
        """All was said: decides on every choice."""
        await self._jury.judge_answer()

    # --- what is told ----------------------------------------------------------------------------------------

    def tell(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Puts what was found in each choice into a whole answer, or into a stream's last events, in place."""
        if ANSWERS.get(self._kind) == CHOICES:
            annotate_choices(events, lambda choice: self._jury.decision(choice).results)

    def notes(self, others: dict[str, Any]) -> dict[str, Any]:
        """These members of an answer's root, with what is told there of its safety."""
        return {**others, **dict(self._notes())}

    def _notes(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        if not self._unread:
            yield PROMPT_RESULTS, self._jury.prompt_results
        if ANSWERS.get(self._kind, CHOICES) != CHOICES:
            results = self._jury.decision(0).results
            yield COMPLETION_RESULTS, [{"index": 0, "content_filter_results": results}]

    def write_down(self, hold: Hold) -> None:
        """Tells the ledger and the metrics what was decided. To be called once, before the hold is resolved."""
        self._jury.write_down(hold, prompt=not self._unread)

    def close(self) -> None:
        """The exchange is over, however it ended."""
        self._jury.close()


class UnwatchedRelay(Unwatched):
    """Stands for one where nothing is looked at."""

    __slots__ = ()

    whole = False

    async def read_relayed(self, call: Call) -> Call:
        """Nothing is read."""
        return call

    async def hear_answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Nothing is heard."""
        return answer

    def hear_event(self, event: Mapping[str, Any]) -> None:
        """Nothing is heard."""

    def tell(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Nothing is told."""


class MaskedRelay(UnwatchedRelay):
    """Stands for one whose answer is a verdict on ``input``, not to be judged again; the host is not told what the
    policy keeps from hosts.
    """

    __slots__ = ("_policy", "_safety")

    def __init__(self, safety: Safety, policy: Policy) -> None:
        self._safety = safety
        self._policy = policy

    async def read_relayed(self, call: Call) -> Call:
        """The call without personal data. Raises `InvalidRequest` where there is too much."""
        if not isinstance(call, RelayCall):
            return call
        given = call.body["input"]
        vault = Vault(sorted(self._policy.hidden))
        weight_chars = weigh([Asked("user", text) for text in texts_in(given)])
        masked = await self._safety.beside_loop(weight_chars, lambda: Rewriter(vault.mask, vault.mask).value(given))
        return replace(call, body={**call.body, "input": masked}) if vault.found else call


UNWATCHED = UnwatchedRelay()


def begin_relay_watch(safety: Safety, visit: Visit, alias_policy: str, kind: str) -> RelayWatch | UnwatchedRelay:
    """The watch over a call of an alias at one endpoint. Moderations judge, and are not judged."""
    policy = visit.snapshot.policies.of(visit.principal, alias_policy)
    if kind in FIELDS and not policy.is_off:
        return RelayWatch(safety, visit, policy, kind)
    return MaskedRelay(safety, policy) if policy.hidden else UNWATCHED


def _unreadable(field: str) -> InvalidRequest:
    message = (
        f"The safety policy of this request has to read '{field}', and cannot: it has to be text, in UTF-8. "
        "Send strings in place of tokens."
    )
    return InvalidRequest(message, param=field, code="prompt_not_judged")


def _mixed(field: str) -> InvalidRequest:
    """Placeholders are numbered anew in each request: one of an earlier turn would be restored to another value."""
    message = (
        f"The safety policy of this request masks personal data, which does not go with '{field}': "
        "send the conversation itself."
    )
    return InvalidRequest(message, param=field, code="stored_not_masked")


def _require_whole(call: Call) -> None:
    """Raises `InvalidRequest` where a stream is asked for, or a form of answer that is not JSON."""
    if call.stream:
        message = (
            f"The safety policy of this request has to see an answer whole, which streams of /v1/{call.kind} do not "
            "allow. Ask without 'stream', or use /v1/chat/completions."
        )
        raise InvalidRequest(message, param="stream", code="stream_not_judged")
    if isinstance(call, FormCall) and call.form.text("response_format") not in _JSON_TRANSCRIPTS:
        message = "The safety policy of this request has to read the answer: 'response_format' has to be 'json'."
        raise InvalidRequest(message, param="response_format", code="format_not_judged")
