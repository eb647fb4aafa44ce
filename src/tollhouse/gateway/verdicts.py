"""What was judged is remembered, for as long as there is room: by digest, never by its text.

`gateway.safety` and `gateway.second_tier` each have one. A prompt is told again with each turn of a conversation, and
its system prompt with every one.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from tollhouse.gateway.digests import Digests
from tollhouse.types.safety import Verdict

_DIGEST_BYTES: Final = 16


class Verdicts:
    """The verdicts of one judge on whole texts. Any thread may ask."""

    __slots__ = ("_digests", "_judge", "_known", "_most")

    def __init__(self, judge: Callable[[str], Verdict], most: int) -> None:
        """``most`` is how many are remembered."""
        self._judge = judge
        self._most = most
        self._digests = Digests()
        self._known: OrderedDict[bytes, Verdict] = OrderedDict()

    def of(self, text: str) -> Verdict:
        """The verdict on a text."""
        digest = self._digests.of(text.encode("utf-8", "surrogatepass"))[:_DIGEST_BYTES]
        verdict = self._known.get(digest)
        if verdict is None:
            verdict = self._known[digest] = self._judge(text)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return verdict
