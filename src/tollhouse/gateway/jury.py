"""What is decided of the safety of one exchange: of its prompt, and of each choice of its answer.

`gateway.watch` (chat) and `gateway.relay_watch` (the other endpoints) each have one. They know where words stand and
how they are held back; what is asked of whom, and what follows from it, is here. A judge that only observes filters
nothing: what it finds is told beside the rest, if it answers in time.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tollhouse.dialects.client import NO_RESULTS, Told
from tollhouse.dialects.reported import PROMPT_SIDE
from tollhouse.dialects.spoken import Asked
from tollhouse.errors import ContentPolicyViolation, Fault, SafetyUnavailable
from tollhouse.gateway.ear import Ear
from tollhouse.gateway.gate import Visit
from tollhouse.gateway.inquiries import Inquiries
from tollhouse.gateway.safety import AnswerBench, Safety, is_short
from tollhouse.gateway.safety_records import write_down
from tollhouse.ledger.holds import Hold
from tollhouse.safety.policy import Decision, Policy
from tollhouse.safety.results import Upstream, prompt_filter_results, read_upstream
from tollhouse.types.ledger import AttemptRecord
from tollhouse.types.safety import CLEAN, COMPLETION, PROMPT, Verdict, joined

_NO_VERDICTS: Final[dict[int, Verdict]] = {}
"""Never changed."""
_NOBODY: Final[frozenset[int]] = frozenset()
BATCH_CHARS: Final = 1024
"""How much of an answer is gathered before it is judged, where nothing waits for that."""
PROMPT_RESULTS, COMPLETION_RESULTS = "prompt_filter_results", "completion_filter_results"


class Jury:
    """One exchange's."""

    __slots__ = (
        *("_batch_chars", "_decisions", "_ear", "_inquiries", "_judged", "_observed", "_of_prompt"),
        *("_safety", "_visit", "policy", "prompt"),
    )

    def __init__(self, safety: Safety, visit: Visit, policy: Policy, batch_chars: int = BATCH_CHARS) -> None:
        self._safety = safety
        self._visit = visit
        self.policy = policy
        self.prompt: Decision = policy.prompt.clean
        """What was decided of the prompt."""
        self._inquiries = Inquiries(safety.judges, visit, policy) if policy.judges else None
        self._batch_chars = batch_chars
        self._ear: Ear | None = None
        self._decisions: dict[int, Decision] = {}
        self._judged = _NO_VERDICTS
        """What gates say of each choice."""
        self._observed = _NO_VERDICTS
        """What those say who only observe."""
        self._of_prompt: Upstream | None = None
        """What the upstream said of the prompt, as far as that was merged."""

    @property
    def ear(self) -> Ear:
        """What hears the answer, made for the first who asks."""
        ear = self._ear
        if ear is None:
            bench = AnswerBench(self._safety, self.policy, self._visit.snapshot.lists)
            ear = self._ear = Ear(bench, self._batch_chars)
            ear.keeps_texts = self.policy.embedding or self._inquiries is not None
            ear.hears_tokens = self.policy.completion.blocks
        return ear

    # --- the prompt ------------------------------------------------------------------------------------------

    def judge_at_once(self, texts: list[Asked]) -> bool:
        """Does what `judge_prompt` does, where that waits for nothing. Whether it did."""
        verdict = self._safety.judge_at_once(texts, self.policy, self._visit.snapshot.lists)
        if verdict is None:
            return False
        self.prompt = self.policy.decide(verdict, PROMPT)
        self.show(texts)
        return True

    async def judge_prompt(self, texts: Sequence[Asked]) -> None:
        """Judges a prompt in this process."""
        verdict = await self._safety.judge_prompt(texts, self.policy, self._visit.snapshot.lists)
        self.prompt = self.policy.decide(verdict, PROMPT)
        self.show(texts)

    def show(self, texts: Sequence[Asked]) -> None:
        """What judges of other machines are shown of the prompt: where it was masked, what is left of it."""
        if self._inquiries is not None:
            self._inquiries.prompt = texts

    @property
    def admits(self) -> bool:
        """Whether `admit` would let the exchange go on at once."""
        return self._inquiries is None and not self.prompt.blocked

    async def admit(self, hold: Hold) -> None:
        """Lets an exchange go on, or ends it: its hold is released then. Raises `ContentPolicyViolation`,
        `SafetyUnavailable`.
        """
        passed = False
        try:
            if not self.prompt.blocked and self._inquiries is not None and self._inquiries.prompt:
                verdict = joined(self.prompt.verdict, await self._inquiries.gate_prompt())
                self.prompt = self.policy.decide(verdict, PROMPT)
            if self.prompt.blocked:
                raise self._refusal()
            passed = True
        finally:
            if not passed:
                self.write_down(hold)
                hold.release(self.records)

    def _refusal(self) -> Fault:
        """Why a prompt is blocked: for what was found in it, or for nobody could look."""
        prompt = self.prompt
        if not prompt.is_unjudged:
            return ContentPolicyViolation(prompt.categories, prompt.results)
        judges = self.policy.prompt.missing(prompt.verdict)
        return SafetyUnavailable(judges, wait_s=self._safety.judges.retry_after_s(judges))

    def merge_prompt(self) -> None:
        """Adds what the upstream says of the prompt."""
        upstream = read_upstream(self.ear.upstream.get(PROMPT_SIDE))
        if upstream is not None and upstream != self._of_prompt:
            self._of_prompt = upstream
            self.prompt = self.policy.observe(self.prompt, CLEAN, upstream)

    # --- the answer ------------------------------------------------------------------------------------------

    def judge_text(self, text: str) -> bool:
        """Decides on an answer that is one text, where that waits for nothing. Whether it did."""
        if self._inquiries is not None or self.policy.embedding or not is_short(text):
            return False
        self.allows(0, self._safety.judge_answer(text, self.policy, self._visit.snapshot.lists))
        return True

    @property
    def gates_answers(self) -> bool:
        """Whether an answer has to wait for a judge."""
        return self._inquiries is not None and self._inquiries.gates_answers

    async def judge_answer(self, cut: frozenset[int] = frozenset()) -> None:
        """Decides on every choice, now that all was said, but those that were ``cut``."""
        if self._inquiries is not None:
            texts = {choice: text for choice, text in self.ear.texts().items() if choice not in cut}
            self._judged = await self._inquiries.judge_answer(texts, gate=True)
            self._observed = await self._inquiries.judge_answer(texts, gate=False)
            if observed := await self._inquiries.observe_prompt():
                self.prompt = self.policy.observe(self.prompt, observed)
        self.merge_prompt()
        verdicts = self.ear.finish()
        refined = self.ear.texts() if self.policy.embedding else {}
        for choice, verdict in verdicts.items():
            if choice in cut:
                continue
            if text := refined.get(choice):
                verdicts[choice] = await self._safety.second_tier.refine(verdict, [(text, False)])
            self.allows(choice, verdicts[choice])

    def allows(self, choice: int, verdict: Verdict) -> bool:
        """Decides on a choice. Whether it may be said."""
        if choice in self._judged:
            verdict = joined(verdict, self._judged[choice])
        heard = self._ear.upstream if self._ear is not None else None
        upstream = read_upstream(heard.get(choice)) if heard else None
        decision = self.policy.decide(verdict, COMPLETION, upstream)
        if choice in self._observed:
            decision = self.policy.observe(decision, self._observed[choice])
        self._decisions[choice] = decision
        return not decision.blocked

    def decision(self, choice: int) -> Decision:
        """What was decided of a choice: of one that said nothing, as of one in which nothing was found."""
        return self._decisions.get(choice, self.policy.completion.clean)

    @property
    def withheld(self) -> frozenset[int]:
        """The choices that are kept from the client, or a part of them."""
        blocked = [choice for choice, decision in self._decisions.items() if decision.blocked]
        return frozenset(blocked) if blocked else _NOBODY

    # --- what is told ----------------------------------------------------------------------------------------

    @property
    def prompt_results(self) -> list[dict[str, Any]]:
        """``prompt_filter_results``."""
        return prompt_filter_results(self.prompt.told)

    @property
    def results(self) -> Mapping[int, Told]:
        """``content_filter_results`` of each choice."""
        return {choice: decision.told for choice, decision in self._decisions.items()} or NO_RESULTS

    @property
    def records(self) -> tuple[AttemptRecord, ...]:
        """What judges were asked, for the ledger: they are asked no more."""
        return self._inquiries.end() if self._inquiries is not None else ()

    def write_down(self, hold: Hold, *, prompt: bool = True) -> None:
        """Tells the ledger and the metrics what was decided. To be called once, before the hold is resolved.

        ``prompt`` is whether the prompt was judged at all.
        """
        decisions = [self.prompt] if prompt else []
        decisions += self._decisions.values()
        if decisions:
            write_down(hold, self._safety.metrics, self.policy, decisions)

    def close(self) -> None:
        """The exchange is over, however it ended."""
        if self._inquiries is not None:
            self._inquiries.end()
