"""The second local tier (`safety.embedding`) for those policies that want it: on a thread of its own, loaded once.

`gateway.safety` and `gateway.watch` ask it. It takes up to a tenth of a second of a core for each page of text, so what
waits for it is bounded: beyond that, and where it cannot be loaded, it has failed, and the first tier's word stands.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from tollhouse.gateway.verdicts import Verdicts
from tollhouse.safety.classifier import Classifier
from tollhouse.safety.embedding_loader import NAME, SecondTierError, load_tier
from tollhouse.types.safety import CLEAN, HARMS, LOCAL, Verdict, joined, without

_MOST_WAITING = 64
_MOST_REMEMBERED = 4096
_HEADS = frozenset({*HARMS, "jailbreak"})


class SecondTier:
    """One process's."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tollhouse-embedding")
        self._verdicts: Verdicts | None = None
        """None until it is loaded."""
        self._problem: str | None = None
        self._waiting = 0
        self.alert: Callable[[str], object] = lambda _why: None
        """Told once why it cannot be loaded."""

    async def refine(self, verdict: Verdict, texts: Iterable[tuple[str, bool]]) -> Verdict:
        """A verdict of the first tier on some texts, with both tiers' word in its place. Each text comes with whether
        it may be an attack on the model.
        """
        if self._problem is None and self._waiting < _MOST_WAITING:
            self._waiting += 1
            try:
                loop = asyncio.get_running_loop()
                found = await loop.run_in_executor(self._thread, self._judge, list(texts))
            finally:
                self._waiting -= 1
            if found is not None:
                return _replaced(verdict, found)
        return Verdict(verdict.findings, verdict.judged_by, tuple(dict.fromkeys((*verdict.failed, NAME))))

    def _judge(self, texts: list[tuple[str, bool]]) -> Verdict | None:
        if self._verdicts is None:
            try:
                self._verdicts = self._load()
            except SecondTierError as error:
                self._problem = str(error)
                self.alert(self._problem)
                return None
        verdict = CLEAN
        for text, may_attack in texts:
            found = self._verdicts.of(text)
            verdict = joined(verdict, found if may_attack else without(found, "jailbreak"))
        return verdict

    def _load(self) -> Verdicts:
        classifier = self._classifier
        tier = load_tier(classifier)
        return Verdicts(lambda text: tier.verdict(tier.combine(classifier.read(text), text)), _MOST_REMEMBERED)

    def close(self) -> None:
        """Takes no more work."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _replaced(verdict: Verdict, both: Verdict) -> Verdict:
    """What others found stands beside what both tiers say; the first tier's own word on the same does not."""
    others = tuple(one for one in verdict.findings if one.origin != LOCAL or one.category not in _HEADS)
    heads = tuple(one for one in both.findings if one.category in _HEADS)
    return Verdict((*others, *heads), (*verdict.judged_by, NAME), verdict.failed)
