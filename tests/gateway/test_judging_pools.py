"""The connections of judges with an address of their own, in `snapshot`: shared, carried over, and by the proxy."""

from types import MappingProxyType

from tests.fakes.door import CATALOGUE
from tollhouse.catalog.names import Offer
from tollhouse.config import Settings
from tollhouse.settings.judges import JudgeSettings
from tollhouse.settings.keys import Upstream
from tollhouse.settings.safety import Safety
from tollhouse.snapshot import Snapshot, build
from tollhouse.types.calls import Host


def made(*urls: str, previous: Snapshot | None = None, proxy: str = "", host: str = "") -> Snapshot:
    """A snapshot of webhooks ``j0``, ``j1``... at these addresses, beside a host."""
    judges = {f"j{number}": JudgeSettings(f"j{number}", "webhook", url=url) for number, url in enumerate(urls)}
    settings = Settings(safety=Safety(judges=MappingProxyType(judges)), upstream=Upstream(proxy=proxy))
    offers = (Offer(Host("up", host), {}),) if host else ()
    return build(settings, CATALOGUE, offers, previous=previous)


def test_judges_at_one_origin_share_its_connections_with_hosts_there() -> None:
    """An operator's own service may be host and judge."""
    snapshot = made(
        "https://one.example/a", "https://one.example/b", "https://two.example", host="https://one.example/v1"
    )
    assert snapshot.judges["j0"] is snapshot.judges["j1"] is snapshot.connectors["up"]
    assert snapshot.judges["j2"] is not snapshot.judges["j0"]
    assert len(snapshot.pools) == 2


def test_a_reload_keeps_the_connections_of_judges_that_stay() -> None:
    """And lets go of those that went."""
    old = made("https://one.example", "https://two.example")
    new = made("https://one.example/other", previous=old)
    assert new.judges["j0"] is old.judges["j0"]
    assert old.pools.keys() - new.pools.keys() == {key for key in old.pools if key[0].host == "two.example"}


def test_judges_go_through_the_proxy_but_on_this_machine() -> None:
    """As hosts do."""
    snapshot = made("https://one.example", "http://127.0.0.1:9/", proxy="http://proxy.example:3128")
    proxies = {key[0].host: key[1].host if key[1] else None for key in snapshot.pools}
    assert proxies == {"one.example": "proxy.example", "127.0.0.1": None}


def test_judges_that_are_models_need_no_connection_of_their_own() -> None:
    """They are asked through their hosts'."""
    settings = Settings(safety=Safety(judges=MappingProxyType({"g": JudgeSettings("g", "llama_guard", "up/g")})))
    assert build(settings, CATALOGUE, ()).judges == {}
