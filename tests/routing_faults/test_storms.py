"""The storms of the fault matrix (F34, F35, G11) in short; `scripts/storm` blows longer."""

import time

from tests.fakes.storm import BROKEN, PASSING, Weather
from tests.routing_faults.kit import view
from tests.routing_faults.storms import both_fail, one_dies, storming


async def test_f35_one_request_in_ten_fails_at_both_routes() -> None:
    """Next to no client hears of it, at less than a fifth of extra traffic; `scripts/storm` asserts one in a thousand,
    of more requests than fit in here and on a machine that has time for them.
    """
    async with storming() as storm:
        figures = await both_fail(storm, 0.1, 3000)
        assert figures.error_rate < 0.005, figures
        assert figures.amplification <= 1.2, figures
        assert storm.ups[0].fates.keys() == {"ok", *PASSING}, "every way to fail was met"


async def test_f35_the_same_where_hosts_also_fall_silent_and_break_off() -> None:
    """A host that breaks off twice, or two that are silent, are seen, but by few."""
    async with storming(3) as storm:
        figures = await both_fail(storm, 0.1, 1000, ways=BROKEN)
        assert figures.errors.total() <= 10, figures  # one is to be expected, more where the machine is busy
        assert figures.amplification <= 1.2, figures
        codes = {error.rpartition(" ")[2] for error in figures.errors}
        assert codes <= {"upstream_interrupted", "upstream_unavailable"}


async def test_g11_one_provider_dies_and_comes_back() -> None:
    """The circuit opens within two seconds and closes within ten of recovery; clients hear nothing after a second."""
    async with storming() as storm:
        figures = await one_dies(storm, 1.5, 1500)
        assert figures.late_errors <= 2, figures
        assert figures.error_rate < 0.005, figures
        assert figures.amplification <= 1.2, figures
        assert figures.opens_s < 2.0, figures
        assert figures.closes_s < 10.0, figures
        assert view(storm.door, "up0").state == "closed"


async def test_f34_both_providers_are_down() -> None:
    """Hosts get a handful of probes, clients a 503 at once; when the hosts are back so is the service."""
    async with storming() as storm:
        await storm.count(100)
        for up in storm.ups:
            up.weather = Weather(1.0, ("500", "503"))
        await storm.last(0.3)
        sent = storm.sent
        seen = await storm.last(2.0)
        assert {each.problem for each in seen} <= {
            "503 no_route_available",
            "503 upstream_unavailable",
            "502 upstream_bad_response",
        }
        assert storm.sent - sent <= 0.2 * len(seen)
        assert storm.sent - sent <= 20, "one probe at a time, each with its net behind it"
        assert sorted(each.took_s for each in seen)[len(seen) // 2] < 1.0, "nobody waits for a timeout"
        for up in storm.ups:
            up.weather = Weather()
        began = time.monotonic()
        await storm.blow(
            workers=4,
            until=lambda: view(storm.door, "up0").state == "closed" or time.monotonic() - began > 10.0,
        )
        assert not [each.problem for each in await storm.count(200) if each.problem]


async def test_f33_a_provider_that_limits_everybody_is_spared() -> None:
    """While the first route answers 429 to all, it is asked once in as long as it says, and no client hears of it."""
    async with storming() as storm:
        await storm.count(50)
        storm.ups[0].weather = Weather(1.0, ("limited",))
        sent = len(storm.ups[0].arrivals)
        seen = await storm.last(1.2)
        assert not [each.problem for each in seen if each.problem]
        assert len(storm.ups[0].arrivals) - sent <= 8 + 8, "those under way, and those that came when a wait was over"
