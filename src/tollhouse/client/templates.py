"""The five ready rules that an answer can be held against, as data. `evaluate` follows them."""

from dataclasses import dataclass

SEVERITIES = ("safe", "low", "medium", "high")
"""By rising level."""


@dataclass(frozen=True, slots=True)
class Template:
    """One rule: a category fails where it was filtered, or where its severity is above ``safe`` and at least
    ``threshold``.
    """

    id: str
    threshold: str
    """One of `SEVERITIES`."""
    by_severity: bool = True
    """Whether severity counts at all. Without it only what was filtered fails."""
    categories: tuple[str, ...] | None = None
    """The only categories that are looked at; None for all."""


STRICT = Template("strict", "safe")
MODERATE = Template("moderate", "medium")
MINIMAL = Template("minimal", "high", by_severity=False)
CHILD_SAFE = Template("child_safe", "low", categories=("sexual", "violence", "self_harm", "hate"))
ENTERPRISE = Template("enterprise", "safe")
TEMPLATES = {one.id: one for one in (STRICT, MODERATE, MINIMAL, CHILD_SAFE, ENTERPRISE)}
