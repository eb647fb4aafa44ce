"""The admin API, whole: every endpoint in one table, and the routes of the admin listener made from it.

Called by `app` for the listener, and by the command line where no server runs. Deny by default: an endpoint is a row,
and a row is served through `table.Endpoint.route`, which asks for the admin key before anything else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tollhouse.control.admin.accounts import Accounts
from tollhouse.control.admin.house import HousePages
from tollhouse.control.admin.prices import PricePages
from tollhouse.control.admin.safety import SafetyPages
from tollhouse.control.admin.table import Call, Endpoint
from tollhouse.control.admin.tree import Tree
from tollhouse.control.admin.usage import UsagePages
from tollhouse.control.guard import Guard
from tollhouse.control.openapi import document
from tollhouse.control.reload import Reloader
from tollhouse.ledger.ledger import Ledger
from tollhouse.ledger.pricebook import PriceBook
from tollhouse.snapshot import Live
from tollhouse.tenancy.directory import Directory
from tollhouse.tenancy.office import Office
from tollhouse.types.secret import Secret
from tollhouse.web.routes import Route


@dataclass(frozen=True, slots=True)
class AdminParts:
    """What the admin API works with. ``book`` gives the price book that requests are priced by at the moment."""

    office: Office
    ledger: Ledger
    live: Live
    book: Callable[[], PriceBook]
    reloader: Reloader
    admin_key: Secret

    def directory(self) -> Directory:
        """The tree as it is now."""
        return self.office.directory

    def credits_per_usd(self) -> int:
        """The setting of the moment."""
        return self.live.snapshot.settings.billing.credits_per_usd


def endpoints(parts: AdminParts) -> tuple[Endpoint, ...]:
    """Every endpoint, the document of all of them last."""
    rows = (
        *Tree(parts.office).endpoints(),
        *Accounts(parts.ledger, parts.directory, parts.credits_per_usd).endpoints(),
        *PricePages(parts.ledger, parts.live, parts.book).endpoints(),
        *UsagePages(parts.ledger, parts.directory, parts.credits_per_usd).endpoints(),
        *SafetyPages(parts.ledger, parts.directory).endpoints(),
        *HousePages(parts.office, parts.live, parts.reloader).endpoints(),
    )
    described: list[dict[str, Any]] = []

    async def describe(call: Call) -> dict[str, Any]:
        """The document, made when it is first asked for."""
        del call
        if not described:
            described.append(document((*rows, own)))
        return described[0]

    summary = "This document: OpenAPI 3.1."
    own = Endpoint("GET", "/admin/openapi.json", "get_openapi", summary, describe, dict[str, Any])
    return (*rows, own)


def routes(parts: AdminParts) -> tuple[Route, ...]:
    """The routes of the admin listener. None of them belongs on any other."""
    guard = Guard(parts.admin_key)
    return tuple(endpoint.route(guard) for endpoint in endpoints(parts))
