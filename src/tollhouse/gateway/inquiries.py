"""The judges that are asked about one exchange (`judging`): which, when, about what, and what it cost.

`gateway.watch` has one for a request whose policy names judges. A gate is waited for before the text goes on; one that
observes is asked beside it, and heard at the end, for as long as its deadline lets it.
"""

from collections.abc import Mapping, Sequence

from tollhouse.dialects.spoken import Asked
from tollhouse.gateway.gate import Visit
from tollhouse.gateway.judging import Inquiry, Judges
from tollhouse.safety.judges.asked import Matter
from tollhouse.safety.policy import Policy
from tollhouse.types.ledger import AttemptRecord
from tollhouse.types.safety import CLEAN, COMPLETION, PROMPT, Verdict, joined

_QUOTED = frozenset({"tool", "function"})
_SPEAKERS = frozenset({"system", "developer", "user", "assistant"})


class Inquiries:
    """One exchange's."""

    __slots__ = ("_judges", "_open", "_policy", "_records", "_visit", "_watched", "prompt")

    def __init__(self, judges: Judges, visit: Visit, policy: Policy) -> None:
        self._judges = judges
        self._visit = visit
        self._policy = policy
        self._open: list[Inquiry] = []
        self._watched: Inquiry | None = None
        """The observers of the prompt."""
        self._records: tuple[AttemptRecord, ...] = ()
        self.prompt: Sequence[Asked] = ()
        """The texts of the prompt."""

    def _begin(self, side: str, matter: Matter, *, gate: bool) -> Inquiry | None:
        visit = self._visit
        names = self._policy.judges
        chosen = self._judges.chosen(visit.snapshot, names, side, visit.exchange.request_id, gate=gate)
        if not chosen:
            return None
        inquiry = self._judges.begin(visit.snapshot, chosen, matter)
        self._open.append(inquiry)
        return inquiry

    def _matter(self) -> Matter:
        """All that the prompt says, not the user's last words alone: whoever asks could put what is judged before them,
        or into another's mouth.
        """
        quoted = tuple([asked.text for asked in self.prompt if asked.role in _QUOTED])
        others = [asked for asked in self.prompt if asked.role not in _QUOTED]
        # of what is too long for a judge it sees the end, which is the last turn: tools and schemas go first
        told = sorted(others, key=lambda asked: asked.role in _SPEAKERS)
        return Matter("\n\n".join([asked.text for asked in told]), None, quoted)

    async def gate_prompt(self) -> Verdict:
        """What the gates say of the prompt. Those who observe it are asked from now on."""
        matter = self._matter()
        gates = self._begin(PROMPT, matter, gate=True)
        self._watched = self._begin(PROMPT, matter, gate=False)
        return (await gates.judged()).verdict if gates is not None else CLEAN

    async def observe_prompt(self) -> Verdict | None:
        """What those who observe it say; None where nobody does."""
        return (await self._watched.judged()).verdict if self._watched is not None else None

    @property
    def gates_answers(self) -> bool:
        """Whether an answer has to wait for a judge."""
        visit = self._visit
        asked = visit.snapshot, self._policy.judges, COMPLETION, visit.exchange.request_id
        return bool(self._judges.chosen(*asked, gate=True))

    async def judge_answer(self, texts: Mapping[int, str], *, gate: bool) -> dict[int, Verdict]:
        """What the gates, or those who observe, say of each choice."""
        prompt = self._matter().prompt
        begun = {
            choice: self._begin(COMPLETION, Matter(prompt, text), gate=gate) for choice, text in texts.items() if text
        }
        found: dict[int, Verdict] = {}
        for choice, inquiry in begun.items():
            if inquiry is not None:
                found[choice] = joined(found.get(choice, CLEAN), (await inquiry.judged()).verdict)
        return found

    def end(self) -> tuple[AttemptRecord, ...]:
        """Asks no more. The records of all that was asked."""
        for inquiry in self._open:
            self._records += inquiry.end()
        self._open.clear()
        return self._records
