"""The ledger after a crash against what the clients saw. `Judge.judge` returns every disagreement, in words."""

import time
from pathlib import Path

from tests.crash.truth import Truth, Try
from tollhouse.ledger.verify.run import verify
from tollhouse.stores.reader import Reader, open_reader

BUDGET_USD = "0.01"
BUDGET_NUSD = 10_000_000
ESTIMATE = 115
"""Per cent of the truth: what an estimate of tokens may come to (docs/metering.md)."""
_HOLDS = "SELECT state, charge, estimated FROM hold WHERE request_id = ? ORDER BY id"
_PAID = """
    SELECT count(DISTINCT tx.id), coalesce(sum(entry.amount), 0) FROM tx JOIN entry ON entry.tx = tx.id
    WHERE tx.external_id = ? AND entry.amount > 0
"""
Row = tuple[str, int, int]


class Judge:
    """Of one database."""

    def __init__(self, database: Path, truth: Truth) -> None:
        self._database = database
        self._truth = truth
        self._problems: list[str] = []

    def judge(self) -> list[str]:
        """Everything that is wrong. Call it when no request runs."""
        self._problems = []
        with open_reader(self._database) as reader:
            still = reader.row("SELECT count(*) FROM hold WHERE state = 'open'")
            self._expect(still == (0,), f"{still} holds are open")
            for one in self._truth.tries:
                self._judge_try(reader, one)
            for named in self._truth.named:
                self._judge_name(reader, named.name, named.tries, lost=named.lost)
            for payment in self._truth.payments:
                count, amount = reader.row(_PAID, (payment.id,)) or (0, 0)
                self._expect(count == 1 or not (count or payment.acknowledged), f"{payment.id} is there {count} times")
                self._expect(not count or amount == payment.cents * 10**7, f"{payment.id} is worth {amount}")
            spent = sum(row[1] for one in self._truth.tight for row in self._rows(reader, one))
            self._expect(spent <= BUDGET_NUSD, f"a budget of {BUDGET_NUSD} has spent {spent}")
            report = verify(reader, now_s=time.time(), max_age_s=60)
        for finding in report.findings:
            self._problems.append(f"verify: {finding}")
        self._problems += self._truth.surprises
        return self._problems

    def _judge_try(self, reader: Reader, one: Try) -> None:
        rows, cost = self._rows(reader, one), one.job.cost_nusd
        if one.refused:
            self._expect(not rows, f"{one.request_id} was refused and has {rows}")
        elif one.whole and one.of is None:
            self._expect(rows == [("settled", cost, 0)], f"{one.request_id} was answered for {cost} and has {rows}")
        elif one.whole:
            first = list(reader.rows(_HOLDS, (one.of,)))
            self._expect(not rows, f"{one.request_id} is a replay and has {rows}")
            self._expect(first == [("settled", cost, 0)], f"{one.of} was answered for {cost} and has {first}")
        else:
            allowed = (
                *([], [("released", 0, 0)], [("settled", cost, 0)]),
                *([("expired", row[1], 1)] for row in rows if row[1] <= self._most(one)),
            )
            self._expect(rows in allowed, f"{one.request_id} gave {one.received} words of {cost} and has {rows}")

    def _most(self, one: Try) -> int:
        """The most that recovery may charge: what its client was given, as the gateway estimates it."""
        return one.job.price_nusd(one.received + 1) * ESTIMATE // 100

    def _judge_name(self, reader: Reader, name: str, tries: list[Try], *, lost: bool) -> None:
        charges = [row[1] for one in tries for row in self._rows(reader, one) if row[1]]
        cost = tries[0].job.cost_nusd
        self._expect(len(charges) <= 1, f"{name} was charged {charges}")
        if any(one.whole for one in tries):
            self._expect(charges == [cost], f"{name} was answered for {cost} and charged {charges}")
        if lost:
            self._expect(bool(charges), f"{name} is said to have been charged and was not")

    def _rows(self, reader: Reader, one: Try) -> list[Row]:
        return [(row[0], row[1], row[2]) for row in reader.rows(_HOLDS, (one.request_id,))]

    def _expect(self, holds: bool, problem: str) -> None:
        if not holds:
            self._problems.append(problem)
