"""GET /v1/safety: what was found in a caller's prompts and answers, counted, as JSON or CSV.

The query and who sees what are those of `gateway.usage`; the counts, `ledger.safety_reports`.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tollhouse.gateway.auth import Keyring
from tollhouse.gateway.usage import Asked, Form, named, query_of, read_query, reply_csv, visible_keys, write_csv
from tollhouse.ledger import safety_reports
from tollhouse.ledger.ledger import Ledger
from tollhouse.ledger.reports import names_of
from tollhouse.ledger.safety_reports import COUNTS, GROUPS, SafetyReport
from tollhouse.web.exchange import Exchange
from tollhouse.web.heads import json_body

DEFAULT_GROUPS = "side,category,severity"
FORM = Form(GROUPS, DEFAULT_GROUPS, ("from", "to", "group_by", "limit", "format"))


class SafetyPage:
    """The page. ``now`` is the Unix time."""

    def __init__(self, keyring: Keyring, ledger: Ledger, now: Callable[[], float] = time.time) -> None:
        self._keyring = keyring
        self._ledger = ledger
        self._now = now
        self._turn = asyncio.Lock()
        """One report at a time, as for usage."""

    async def __call__(self, exchange: Exchange) -> None:
        """Answers one request. Raises `Fault`."""
        principal = self._keyring.identify(exchange.headers, exchange.client)
        exchange.notes["key"] = principal.key_id
        today = datetime.fromtimestamp(self._now(), UTC).date()
        asked = read_query(exchange.query, exchange.headers.get(b"accept", b""), today, FORM)
        query = query_of(asked, visible_keys(principal, self._keyring.directory))
        async with self._turn:
            report = await self._ledger.report(lambda db: safety_reports.findings(db, query))
        if asked.csv:
            rows = ([*named(line, asked.group_by).values(), *line.counts] for line in report.lines)
            reply_csv(exchange, "safety", asked, write_csv([*names_of(asked.group_by), *COUNTS], rows))
            return
        exchange.reply(200, json_body(describe_findings(report, asked)))


def describe_findings(report: SafetyReport, asked: Asked) -> dict[str, Any]:
    """The page, as JSON has it."""
    return {
        "object": "safety",
        "from": asked.first.isoformat(),
        "to": asked.last.isoformat(),
        "group_by": asked.group_by,
        "data": [
            {**named(line, asked.group_by), **dict(zip(COUNTS, line.counts, strict=True))} for line in report.lines
        ],
        "has_more": report.more,
        "totals": dict(zip(COUNTS, report.totals, strict=True)),
        "answered_requests": report.answered_requests,
    }
