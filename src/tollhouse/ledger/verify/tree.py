"""Who pays for what: chains of nodes, the holds on them, repeated requests, and the audit: `Tree`."""

import json
from collections.abc import Iterator
from typing import Any

from tollhouse.ledger.verify.report import Check, Finding
from tollhouse.ledger.verify.walk import Part, Span

CHAINS = Check("I22", "chains", "a chain goes from a key to the organisation that pays")
HELD = Check("I22", "holds on chains", "a hold is of its chain's key and payer, all of which exist")
REPEATED = Check("I11", "idempotency", "an answer that is kept for repeats was held for, by the key that keeps it")
AUDITED = Check("I28", "audit", "every movement that an operator made has its row in the audit")

_CHAINS = "SELECT id, nodes, payer FROM chain ORDER BY id"
_WRONG_HOLD = """
    SELECT hold.id, 'key ' || hold.key || ', payer ' || hold.payer || ', chain ' || hold.chain || ' '
        || coalesce(chain.nodes || ' payer ' || chain.payer, 'that is not there')
    FROM hold LEFT JOIN temp.member ON member.chain = hold.chain LEFT JOIN chain ON chain.id = hold.chain
    WHERE hold.id > ? AND hold.id <= ? AND (hold.key = member.key AND hold.payer = member.payer) IS NOT TRUE
    ORDER BY hold.id LIMIT 1
"""
_WRONG_REPEAT = """
    SELECT 'key ' || key || ', name ' || name, 'status ' || status || ', no hold of request ' || request_id
    FROM idempotency WHERE status BETWEEN 200 AND 299 AND NOT EXISTS (
        SELECT 1 FROM hold WHERE hold.request_id = idempotency.request_id AND hold.key = idempotency.key
            AND hold.state <> 'open'
    )
    ORDER BY key, name LIMIT 1
"""
_UNAUDITED = """
    SELECT id, kind || ' by ' || actor FROM movement
    WHERE id > ? AND id <= ? AND hold IS NULL AND id NOT IN (SELECT movement FROM temp.audited) ORDER BY id LIMIT 1
"""
_AUDITED = """
    CREATE TEMP TABLE audited AS SELECT detail ->> 'tx' AS movement FROM audit
    WHERE json_valid(detail) AND detail ->> 'tx' IS NOT NULL
"""


class Tree(Part):
    """Nodes, and what refers to them."""

    checks = (CHAINS, HELD, REPEATED, AUDITED)

    def begin(self) -> Iterator[Finding]:
        """See `Part`."""
        self.reader.run("CREATE TEMP TABLE member (chain INTEGER PRIMARY KEY, key INTEGER, payer INTEGER)")
        self.reader.run(_AUDITED)
        kinds: dict[Any, Any] = dict(self.reader.rows("SELECT number, kind FROM node"))
        for chain, text, payer in self.reader.rows(_CHAINS):
            if (problem := _problem(text, payer, kinds)) is not None:
                yield Finding(CHAINS, "chain", str(chain), problem, f"{text}, payer {payer}")
            else:
                self.reader.run("INSERT INTO temp.member VALUES (?, ?, ?)", (chain, json.loads(text)[0], payer))
        yield from self.first(REPEATED, "idempotency", _WRONG_REPEAT, "a closed hold of the request that was answered")

    def holds(self, span: Span) -> Iterator[Finding]:
        """See `Part`."""
        return self.first(HELD, "hold", _WRONG_HOLD, "the key and the payer of its chain", span)

    def movements(self, span: Span) -> Iterator[Finding]:
        """See `Part`."""
        return self.first(AUDITED, "movement", _UNAUDITED, "a row of the audit that names it", span)


def _problem(text: str, payer: int, kinds: dict[Any, Any]) -> str | None:
    """What a chain is not. Nodes may have moved since, so how they hang together now is not asked."""
    try:
        nodes = json.loads(text)
    except ValueError:
        return "a list of nodes"
    if not isinstance(nodes, list) or not nodes or any(type(node) is not int for node in nodes):
        return "a list of nodes"
    found = [kinds.get(node) for node in nodes]
    if None in found:
        return "nodes that there are"
    if found[0] != "key" or found[-1] != "org" or "org" in found[:-1] or "key" in found[1:]:
        return "a key first, the organisation last"
    return None if nodes[-1] == payer else "the organisation as the payer"
