"""What every request to a host says before its body."""

import pytest

from tollhouse import __version__
from tollhouse.dialects.headers import StaticHeads, credential_headers, host_headers, path_segment
from tollhouse.errors import InternalError, UpstreamModelMissing
from tollhouse.types.calls import Host
from tollhouse.types.secret import Secret


@pytest.mark.parametrize(
    ("auth", "field"),
    [
        ("bearer", {"authorization": "Bearer s"}),
        ("x-api-key", {"x-api-key": "s"}),
        ("api-key", {"api-key": "s"}),
        ("x-goog-api-key", {"x-goog-api-key": "s"}),
        ("none", {}),
        ("sigv4", {}),
        ("google", {}),
    ],
)
def test_each_kind_of_auth_has_its_field(auth: str, field: dict[str, str]) -> None:
    """The credential goes where the kind of auth says, and nowhere for what is signed."""
    assert credential_headers(Host("h", "https://h", credential=Secret("s"), auth=auth)) == field


def test_a_host_without_a_credential_is_told_nothing() -> None:
    """No credential, no field, whatever the kind of auth."""
    assert credential_headers(Host("h", "https://h", auth="bearer")) == {}


def test_an_unknown_kind_of_auth_is_our_own_fault() -> None:
    """A kind that the configuration should have refused is an internal error."""
    with pytest.raises(InternalError):
        credential_headers(Host("h", "https://h", credential=Secret("s"), auth="magic"))


def test_the_dialects_fields_and_the_operators_stand_beside_ours() -> None:
    """Underscores become dashes, and the operator's fields replace those of the same name."""
    host = Host("h", "https://h", headers=(("X-A", "1"), ("User-Agent", "mine"), ("anthropic-version", "2")))
    assert dict(host_headers(host, "text/event-stream", anthropic_version="1")) == {
        "accept": "text/event-stream",
        "content-type": "application/json",
        "user-agent": "mine",
        "anthropic-version": "2",
        "x-a": "1",
    }
    assert dict(host_headers(Host("h", "https://h")))["user-agent"] == f"tollhouse/{__version__}"


def test_what_is_known_of_hosts_is_bounded_and_made_once() -> None:
    """Each object's value is its own and is kept; after many reloads few are held."""
    heads = StaticHeads(lambda host: [host.base_url])
    for number in range(3000):
        host = Host("h", f"https://h/{number}")
        assert heads.of(host) == [f"https://h/{number}"]
        assert heads.of(host) is heads.of(host)
    assert len(heads) <= 1024


def test_a_models_name_is_one_segment_of_a_path() -> None:
    """Slashes are quoted, and a name that would lead to another place is none."""
    assert path_segment("a/b?c#d%2f") == "a%2Fb%3Fc%23d%252f"
    assert path_segment("...") == "..."
    for name in (".", ".."):
        with pytest.raises(UpstreamModelMissing):
            path_segment(name)
