"""GET /v1/credits: what the caller may still spend, and what bounds it. Any key may ask; it sees its own chain."""

from typing import Any

from tollhouse.gateway.annotate import amounts, is_low
from tollhouse.gateway.auth import Keyring
from tollhouse.ledger.ledger import BudgetStanding, Ledger, Standing
from tollhouse.snapshot import Live
from tollhouse.types.tenancy import Node, Principal
from tollhouse.web.exchange import Exchange
from tollhouse.web.heads import json_body


class CreditsPage:
    """The page."""

    def __init__(self, live: Live, keyring: Keyring, ledger: Ledger) -> None:
        self._live = live
        self._keyring = keyring
        self._ledger = ledger

    async def show(self, exchange: Exchange) -> None:
        """Answers one request. Raises `Fault`."""
        principal = self._keyring.identify(exchange.headers, exchange.client)
        exchange.notes["key"] = principal.key_id
        exchange.reply(200, json_body(self.describe(principal)))

    def describe(self, principal: Principal) -> dict[str, Any]:
        """The page of one caller. Amounts stand twice: exact US dollars as text, credits as a number."""
        billing = self._live.snapshot.settings.billing
        rate = billing.credits_per_usd
        standing = self._ledger.standing(principal)
        nodes = self._keyring.directory.nodes
        return {
            "object": "credits",
            "organisation": nodes[principal.chain.payer].id,
            "billing": "prepaid" if standing.prepaid else "postpaid",
            "credits_per_usd": rate,
            **_totals(standing, rate),
            "warning": is_low(standing.available_nusd, rate, billing.balance_warning_credits),
            "budgets": [_budget(budget, nodes[budget.node], rate) for budget in standing.budgets],
        }


def _totals(standing: Standing, rate: int) -> dict[str, Any]:
    return {
        **amounts("balance", standing.balance_nusd, rate),
        **amounts("held", standing.held_nusd, rate),
        **amounts("available", standing.available_nusd, rate),
    }


def _budget(budget: BudgetStanding, node: Node, rate: int) -> dict[str, Any]:
    """One budget of the chain. Times are Unix seconds; a total has no window, so both are null."""
    bounded = node.budget is not None and budget.resets_at_s is not None
    return {
        "node": node.id,
        "kind": node.kind,
        "period": node.budget.period if node.budget is not None else "total",
        "zone": node.budget.zone if bounded and node.budget is not None else None,
        **amounts("limit", budget.limit_nusd, rate),
        **amounts("spent", budget.spent_nusd, rate),
        **amounts("held", budget.held_nusd, rate),
        **amounts("available", max(0, budget.limit_nusd - budget.spent_nusd - budget.held_nusd), rate),
        "window_start": budget.window_start_s if bounded else None,
        "resets_at": budget.resets_at_s,
    }
