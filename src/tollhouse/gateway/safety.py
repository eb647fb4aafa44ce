"""What the safety of all requests shares: the classifier, what it remembers, and the lists of the configuration.

`gateway.gate` has one `Safety`; the `jury` of each request asks it.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from tollhouse.dialects.spoken import Asked, Said
from tollhouse.gateway.ear import Listener
from tollhouse.gateway.judging import Judges
from tollhouse.gateway.second_tier import SecondTier
from tollhouse.gateway.verdicts import Verdicts
from tollhouse.safety.beside import is_listing, with_listed
from tollhouse.safety.classifier import Classifier, Reader, shipped_classifier
from tollhouse.safety.lists import ListReader, Lists
from tollhouse.safety.policy import Policy
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.safety import CLEAN, Finding, Verdict, joined, without

T = TypeVar("T")
_OFF_LOOP_CHARS: Final = 16 * 1024
"""Texts that are longer are judged on another thread: at 0.1 ms for 1,000 characters, and several times that of words
that nobody has used before, the loop would stand still.
"""
_HUGE_CHARS: Final = 1024 * 1024
"""What is longer takes seconds, and has a thread of its own: whoever sends much waits for others who do."""
_CHARS_PER_TEXT: Final = 512
"""A text of its own costs as much as these."""
_MOST_REMEMBERED: Final = 8192
_ATTACKERS: Final = frozenset({"user", "tool", "function"})
"""Whose words may attack a model's instructions; those of the operator and the model's own cannot."""


def weigh(texts: Iterable[Asked | Said]) -> int:
    """How much work texts are, in characters of one long text."""
    chars = 0
    for one in texts:
        chars += len(one.text) + _CHARS_PER_TEXT
    return chars


def is_short(text: str) -> bool:
    """Whether a text alone is too little work for another thread."""
    return len(text) + _CHARS_PER_TEXT <= _OFF_LOOP_CHARS


class Safety:
    """One process's."""

    def __init__(self, judges: Judges, metrics: Metrics) -> None:
        self.classifier = shipped_classifier()
        self.second_tier = SecondTier(self.classifier)
        self.judges = judges
        self.metrics = metrics
        self.verdicts = Verdicts(self.classifier.judge, _MOST_REMEMBERED)
        """The classifier's, on whole texts."""
        self._long = ThreadPoolExecutor(1, thread_name_prefix="tollhouse-safety-long")
        self._huge = ThreadPoolExecutor(1, thread_name_prefix="tollhouse-safety-huge")
        """Not the loop's own threads, which also find the addresses of hosts."""

    async def beside_loop(self, weight_chars: int, function: Callable[[], T]) -> T:
        """What a function gives, on another thread where the texts that it reads (`weigh`) take long."""
        if weight_chars <= _OFF_LOOP_CHARS:
            return function()
        threads = self._long if weight_chars <= _HUGE_CHARS else self._huge
        return await asyncio.get_running_loop().run_in_executor(threads, function)

    def close(self) -> None:
        """Takes no more work for other threads."""
        for threads in (self._long, self._huge):
            threads.shutdown(wait=False, cancel_futures=True)
        self.second_tier.close()

    def judge_at_once(self, texts: list[Asked], policy: Policy, lists: Lists) -> Verdict | None:
        """What `judge_prompt` gives, where that waits for nothing; else None."""
        if policy.embedding or weigh(texts) > _OFF_LOOP_CHARS:
            return None
        return self._judge(texts, policy, lists)

    async def judge_prompt(self, texts: Sequence[Asked], policy: Policy, lists: Lists) -> Verdict:
        """What the local classifier and the policy's lists find in the texts of a prompt."""
        verdict = await self.beside_loop(weigh(texts), lambda: self._judge(texts, policy, lists))
        if policy.embedding:
            told = [(asked.text, asked.role in _ATTACKERS) for asked in texts]
            return await self.second_tier.refine(verdict, told)
        return verdict

    def _judge(self, texts: Sequence[Asked], policy: Policy, lists: Lists) -> Verdict:
        verdict = CLEAN
        verdicts, looks_beside = self.verdicts, is_listing(policy)
        for asked in texts:
            text = asked.text
            found = verdicts.of(text)
            if found is not CLEAN and asked.role not in _ATTACKERS:
                found = without(found, "jailbreak")
            if looks_beside:
                found = with_listed(found, text, policy, lists)
            if found is not CLEAN:
                verdict = joined(verdict, found)
        return verdict

    def judge_answer(self, text: str, policy: Policy, lists: Lists) -> Verdict:
        """What the classifier and the policy's lists find in a whole text of an answer."""
        verdict = self.verdicts.of(text)
        if verdict is not CLEAN:
            verdict = without(verdict, "jailbreak")
        reader = lists.reader(policy)
        if reader is None:
            return verdict
        reader.feed(text)
        return _with_listed(verdict, reader.finish())


class AnswerBench:
    """See `Bench`."""

    __slots__ = ("_lists", "_policy", "_safety")

    def __init__(self, safety: Safety, policy: Policy, lists: Lists) -> None:
        self._safety = safety
        self._policy = policy
        self._lists = lists

    def listener(self) -> Listener:
        """For a text that comes in pieces."""
        classifier = self._safety.classifier
        return _Listener(classifier, classifier.reader(), self._lists.reader(self._policy))

    def whole(self, text: str) -> Verdict:
        """The verdict on a whole text."""
        return self._safety.judge_answer(text, self._policy, self._lists)


class _Listener:
    """See `Listener`."""

    __slots__ = ("_classifier", "_lists", "_reader")

    def __init__(self, classifier: Classifier, reader: Reader, lists: ListReader | None) -> None:
        self._classifier = classifier
        self._reader = reader
        self._lists = lists

    def feed(self, text: str) -> None:
        self._reader.feed(text)
        if self._lists is not None:
            self._lists.feed(text)

    def peek(self) -> Verdict:
        listed = self._lists.peek() if self._lists is not None else ()
        return _with_listed(self._verdict(self._reader.twin()), listed)

    def finish(self) -> Verdict:
        listed = self._lists.finish() if self._lists is not None else ()
        return _with_listed(self._verdict(self._reader), listed)

    def _verdict(self, reader: Reader) -> Verdict:
        reader.end()
        return without(self._classifier.found(reader), "jailbreak")


def _with_listed(verdict: Verdict, listed: tuple[Finding, ...]) -> Verdict:
    return joined(verdict, Verdict(listed)) if listed else verdict
