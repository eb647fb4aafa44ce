"""Addresses: which of them only this machine reaches."""

import pytest

from tollhouse.settings.urls import is_local_address, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_is_this_machine(host: str) -> None:
    """What listens there is reached from this machine alone, and so is a URL that leads there."""
    assert is_local_address(host)
    assert is_loopback(f"http://{f'[{host}]' if ':' in host else host}:8787/v1")


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "::", "192.168.0.7", "10.0.0.1", "2001:db8::1", "gateway.example"],  # noqa: S104 - not bound
)
def test_every_other_address_may_be_reached_by_others(host: str) -> None:
    """Every address at once, private networks and names count as open to others."""
    assert not is_local_address(host)


def test_names_below_localhost_lead_to_this_machine() -> None:
    """RFC 6761 section 6.3."""
    assert is_loopback("http://a.localhost:1/v1")
    assert is_loopback("http://localhost./v1")
    assert not is_loopback("http://localhost.example/v1")
