"""What the checks look for and what they found: an invariant's rows, the first bad one of each.

Amounts in a finding are nano-USD, as in the tables.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One promise. ``code`` is its invariant's (docs/ledger.md), ``name`` tells the checks of an invariant apart."""

    code: str
    name: str
    promise: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that breaks a promise. ``row`` is its primary key, or what else names it in ``table``."""

    check: Check
    table: str
    row: str
    expected: str
    found: str

    def as_json(self) -> dict[str, Any]:
        """One flat object."""
        return {
            "check": f"{self.check.code} {self.check.name}",
            "promise": self.check.promise,
            "table": self.table,
            "row": self.row,
            "expected": self.expected,
            "found": self.found,
        }


@dataclass(slots=True)
class Report:
    """The outcome. ``counts`` are the rows read of each table."""

    checks: tuple[Check, ...]
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every promise is kept."""
        return not self.findings

    def add(self, finding: Finding) -> None:
        """Keeps the first finding of each check."""
        if all(known.check != finding.check for known in self.findings):
            self.findings.append(finding)

    def as_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {
            "ok": self.ok,
            "checks": len(self.checks),
            "counts": self.counts,
            "seconds": round(self.seconds, 3),
            "findings": [finding.as_json() for finding in self.findings],
        }
