"""The verifier: `verify` makes every check on one snapshot of a database, live or a copy."""

import time
from collections.abc import Callable

from tollhouse.errors import StorageUnavailable
from tollhouse.ledger.verify.budgets import Budgets
from tollhouse.ledger.verify.charges import Charges
from tollhouse.ledger.verify.money import Books, name_purses
from tollhouse.ledger.verify.pricing import Pricing
from tollhouse.ledger.verify.report import Finding, Report
from tollhouse.ledger.verify.rows import Open, Rows
from tollhouse.ledger.verify.shape import SOUND, Shape
from tollhouse.ledger.verify.tree import Tree
from tollhouse.ledger.verify.usage import Usage
from tollhouse.ledger.verify.walk import Part, walk
from tollhouse.stores.reader import Reader

MAX_AGE_S = 3600
"""Longer than any request takes: its deadlines, a bounded drain, and some."""


def verify(
    reader: Reader,
    *,
    now_s: float,
    max_age_s: float = MAX_AGE_S,
    thorough: bool = False,
    progress: Callable[[float], None] = lambda _share: None,
) -> Report:
    """Checks everything. ``now_s`` is the wall clock, ``max_age_s`` how long a hold may be open, ``thorough`` asks for
    SQLite's own integrity check too. ``progress`` is told the share that is done, 0 to 1. Never raises: a database
    that breaks off is a finding.
    """
    began = time.monotonic()
    parts: list[Part] = [
        Shape(reader, thorough=thorough),
        Open(reader, int((now_s - max_age_s) * 1_000_000)),
        Rows(reader),
        Tree(reader),
        Pricing(reader),
        Charges(reader),
        Books(reader),
        Usage(reader),
        Budgets(reader, int(now_s)),
    ]
    report = Report(tuple(check for part in parts for check in part.checks))
    try:
        report.counts = _counts(reader)
        name_purses(reader)
        for finding in walk(reader, parts, progress):
            report.add(finding)
    except StorageUnavailable as fault:
        report.add(Finding(SOUND, "file", str(reader.path.name), "a database that can be read", fault.message))
    report.seconds = time.monotonic() - began
    return report


def _counts(reader: Reader) -> dict[str, int]:
    """How many rows there are."""
    rows = reader.rows(
        "SELECT 'entry', count(*) FROM entry UNION ALL SELECT 'tx', count(*) FROM tx"
        " UNION ALL SELECT 'hold', count(*) FROM hold UNION ALL SELECT 'account', count(*) FROM account"
        " UNION ALL SELECT 'price', count(*) FROM price UNION ALL SELECT 'node', count(*) FROM node"
    )
    return dict(rows)
