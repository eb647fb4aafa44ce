"""The second tier in the gateway, where it cannot be loaded."""

import sys

import pytest

from tollhouse.engines.local_loader import INSTALL
from tollhouse.gateway.second_tier import SecondTier
from tollhouse.safety.classifier import shipped_classifier
from tollhouse.safety.embedding_loader import NAME
from tollhouse.types.safety import HIGH, LOCAL, Finding, Verdict


async def test_what_is_missing_is_told_once_and_the_first_tier_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without numpy: one alert that says what to run; each verdict is the first tier's, and names who has failed."""
    monkeypatch.setitem(sys.modules, "numpy", None)
    told: list[str] = []
    tier = SecondTier(shipped_classifier())
    tier.alert = told.append
    first = Verdict((Finding("hate", HIGH, LOCAL),), ("local",))
    for _ in range(2):
        assert await tier.refine(first, [("some text", True)]) == Verdict(first.findings, ("local",), (NAME,))
    assert [INSTALL in why for why in told] == [True]
    tier.close()
