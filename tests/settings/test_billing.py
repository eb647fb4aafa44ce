"""[billing]: what money means where a price, a cap or a secret is missing."""

from pathlib import Path

import pytest

from tests.settings.reader import faults, read
from tollhouse.types.secret import Secret

KEY = "billing.stripe_webhook_secret"


def test_the_defaults_are_the_safe_ones(tmp_path: Path) -> None:
    """100 credits to the dollar, unpriced models refused, no webhook."""
    settings = read(tmp_path, "")
    billing = settings.billing
    assert (billing.credits_per_usd, billing.balance_warning_credits, billing.unpriced) == (100, 10, "refuse")
    assert (billing.default_max_output_tokens, billing.charge_interrupted) == (16_384, "delivered")
    assert (billing.max_drains, billing.drain_s) == (64, 60.0)
    assert settings.stripe_webhook_secret is None


@pytest.mark.parametrize("reference", ["env:HOOK", "file:hook", "whsec_canary"])
def test_the_webhook_secret_is_looked_up_and_never_prints(tmp_path: Path, reference: str) -> None:
    """A variable, a file or the text itself becomes a secret, and the section keeps nothing of it."""
    (tmp_path / "hook").write_text("whsec_canary\n")
    text = f'[billing]\nstripe_webhook_secret = "{reference}"\n'
    settings = read(tmp_path, text, {"HOOK": "whsec_canary"})
    assert settings.stripe_webhook_secret == Secret("whsec_canary")
    assert "whsec_canary" not in repr(settings)


def test_the_webhook_secret_may_come_from_a_variable_of_its_own(tmp_path: Path) -> None:
    """TOLLHOUSE_BILLING_STRIPE_WEBHOOK_SECRET goes over the file."""
    settings = read(tmp_path, "", {"TOLLHOUSE_BILLING_STRIPE_WEBHOOK_SECRET": "whsec_1"})
    assert settings.stripe_webhook_secret == Secret("whsec_1")


@pytest.mark.parametrize("reference", ["env:NONE", "file:none", "  "])
def test_s41_a_secret_that_is_named_and_missing_is_a_fault(tmp_path: Path, reference: str) -> None:
    """A gateway that was told to take payments does not start with the endpoint silently off."""
    assert KEY in faults(tmp_path, f'[billing]\nstripe_webhook_secret = "{reference}"\n')


def test_a_secret_in_a_file_that_all_can_read_is_a_fault(tmp_path: Path) -> None:
    """S22: written out it needs a file of one's own; as a reference it does not."""
    text = '[billing]\nstripe_webhook_secret = "whsec_canary"\n'
    problems = faults(tmp_path, text, mode=0o644)
    assert KEY in problems
    assert "whsec_canary" not in str(problems)
    named = '[billing]\nstripe_webhook_secret = "env:HOOK"\n'
    assert read(tmp_path, named, {"HOOK": "whsec_1"}, mode=0o644).stripe_webhook_secret is not None


@pytest.mark.parametrize(
    "row",
    [
        "credits_per_usd = 0",
        'unpriced = "zero"',
        "default_max_output_tokens = 15",
        'charge_interrupted = "all"',
        "max_drains = -1",
        "drain_s = -1",
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, row: str) -> None:
    """Each with its path."""
    assert f"billing.{row.partition(' ')[0]}" in faults(tmp_path, f"[billing]\n{row}\n")
