"""Limits of keys: what is refused, what a refusal says, and that it takes nothing."""

import asyncio
import random

import pytest

from tests.gateway.limits_kit import MINUTE, SECOND, caller, limiter, settings, shown, tier
from tollhouse.errors import InvalidRequest, RateLimited
from tollhouse.gateway.limits import FREE, Lease, Limits, longest_request_s
from tollhouse.types.tenancy import Rates, Tier


def refused(limits: Limits, tokens: int = 0, model: str = "m", key: str = "key_1") -> RateLimited:
    """The refusal of a request, at either of the two looks."""
    with pytest.raises(RateLimited) as caught:
        limits.admit(caller(key=key)).reserve(model, tokens)
    return caught.value


def passed(limits: Limits, tokens: int = 0, model: str = "m", key: str = "key_1") -> Lease:
    """The lease of a request that is within every limit."""
    lease = limits.admit(caller(key=key))
    lease.reserve(model, tokens)
    return lease


class TestRequests:
    """Requests per minute."""

    def test_the_limit_passes_and_one_more_is_told_when(self) -> None:
        """The sixty-first request of a minute is refused before its body is read, with a wait that is true."""
        limits, clock = limiter(tier(60))
        for _ in range(60):
            passed(limits).leave()
            clock.pass_s(0.1)
        with pytest.raises(RateLimited) as caught:
            limits.admit(caller())
        fault = caught.value
        assert (fault.status, fault.code, fault.type) == (429, "rate_limit_exceeded", "requests")
        assert fault.headers["retry-after"] == "54"
        assert fault.message == (
            "Rate limit reached: limit 60 requests per minute, used 60, requested 1. Please try again in 54s."
        )
        clock.pass_s(53.9)
        assert refused(limits).headers["retry-after"] == "1"
        clock.pass_s(0.1)
        passed(limits)

    def test_keys_do_not_share(self) -> None:
        """One key's requests leave the others' limits alone."""
        limits, _ = limiter(tier(1))
        passed(limits, key="key_1")
        passed(limits, key="key_2")
        refused(limits, key="key_1")

    def test_five_hundred_at_once_pass_exactly_the_limit(self) -> None:
        """Of five hundred concurrent requests exactly the limit is admitted, whatever order they run in (F78)."""
        limits, _ = limiter(tier(100, tokens=70_000))
        admitted: list[Lease] = []

        async def ask(chance: random.Random) -> None:
            await asyncio.sleep(0)
            try:
                lease = limits.admit(caller())
            except RateLimited:
                return
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            try:
                lease.reserve("m", 1000)
            except RateLimited:
                return
            admitted.append(lease)

        async def crowd() -> None:
            chance = random.Random(7)  # noqa: S311 - an order, not a secret
            await asyncio.gather(*(ask(chance) for _ in range(500)))

        asyncio.run(crowd())
        assert len(admitted) == 70
        for lease in admitted:
            lease.leave()
        assert limits.slots == 0
        for _ in range(30):  # the requests that tokens refused were given back
            passed(limits)
        refused(limits)


class TestTokens:
    """Tokens per minute: reserved, then corrected."""

    def test_an_estimate_is_replaced_by_what_was_used(self) -> None:
        """What an answer did not use is free again at once."""
        limits, _ = limiter(tier(tokens=1000))
        lease = passed(limits, 900)
        fault = refused(limits, 200)
        assert (fault.type, fault.headers["retry-after"]) == ("tokens", "60")
        assert "limit 1000 tokens per minute, used 900, requested 200" in fault.message
        lease.correct(100)
        lease.correct(100)
        assert shown(lease.headers())["x-ratelimit-remaining-tokens"] == "900"
        passed(limits, 900)
        refused(limits, 1)

    def test_use_beyond_the_estimate_counts(self) -> None:
        """An answer that used more than was reserved is not cut off, but the next request waits for it."""
        limits, clock = limiter(tier(tokens=1000))
        passed(limits, 10).correct(1500)
        with pytest.raises(RateLimited) as caught:
            limits.admit(caller())
        assert "used 1500." in caught.value.message
        assert caught.value.headers["x-ratelimit-remaining-tokens"] == "0"
        clock.pass_s(60)
        passed(limits, 1000)

    def test_a_long_answer_counts_its_excess_when_it_is_known(self) -> None:
        """When the minute of the admission is over, only what exceeds the estimate counts, and it counts now."""
        limits, clock = limiter(tier(tokens=1000))
        lease, other = passed(limits, 400), passed(limits, 400)
        clock.pass_s(90)
        lease.correct(700)
        other.correct(100)
        assert shown(lease.headers())["x-ratelimit-remaining-tokens"] == "700"
        lease.correct(600)  # what counted late is not taken back
        refused(limits, 701)
        passed(limits, 700)

    def test_what_can_never_pass_is_not_told_to_wait(self) -> None:
        """A request larger than the whole limit gets no Retry-After, and SDKs are told not to try again."""
        limits, _ = limiter(tier(tokens=1000))
        fault = refused(limits, 1001)
        assert (fault.status, fault.type) == (429, "tokens")
        assert "retry-after" not in fault.headers
        assert fault.headers["x-should-retry"] == "false"
        assert fault.message == "Request too large: limit 1000 tokens per minute, requested 1001."
        passed(limits, 1000)


class TestConcurrency:
    """Requests at once, as leased slots."""

    def test_a_slot_is_free_the_moment_it_is_given_back(self) -> None:
        """With one slot the next request passes right after the one before has left (B3)."""
        limits, _ = limiter(tier(concurrent=1))
        for _ in range(3):
            lease = passed(limits)
            fault = refused(limits)
            assert (fault.type, fault.headers["retry-after"]) == ("concurrency", "1")
            assert fault.message == ("Rate limit reached: 1 requests at once, 1 running. Please try again in 1s.")
            lease.leave()
            lease.leave()

    def test_leaving_twice_frees_one_slot(self) -> None:
        """To leave again changes nothing for those that run."""
        limits, _ = limiter(tier(concurrent=2))
        first, _second = passed(limits), passed(limits)
        first.leave()
        first.leave()
        passed(limits)
        refused(limits)

    def test_no_end_leaks_a_slot(self) -> None:
        """After any mix of success, refusal, withdrawal and cancellation every slot is free (B2)."""
        limits, _ = limiter(Tier("t", Rates(None, 500, 5), Rates(None, None, 2)))

        async def serve(number: int) -> None:
            lease = limits.admit(caller())
            try:
                await asyncio.sleep(0)
                lease.reserve(f"m{number % 3}", 100)
                await asyncio.sleep(0.001 if number % 2 else 30)
                if number % 5 == 0:
                    raise InvalidRequest("no")
                lease.correct(10)
            finally:
                lease.leave()

        async def crowd() -> None:
            tasks = [asyncio.create_task(serve(number)) for number in range(40)]
            await asyncio.sleep(0.02)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(crowd())
        assert limits.slots == 0
        leases = [passed(limits, model=f"m{number}") for number in range(5)]
        assert limits.slots == 5
        for lease in leases:
            lease.withdraw()
        assert limits.slots == 0

    def test_a_lease_that_was_lost_expires(self) -> None:
        """A slot that nobody gave back is freed once no request could still hold it, and that is counted."""
        limits, clock = limiter(Tier("t", Rates(concurrent=2), Rates(concurrent=1)))
        lost = passed(limits, model="a")
        longest = longest_request_s(settings())
        clock.pass_s(longest)
        limits.sweep()
        assert limits.slots == 1
        late = passed(limits, model="b")
        clock.pass_s(0.001)
        limits.sweep()
        assert limits.slots == 1
        assert limits.metrics.counts["tollhouse_slots_expired",] == 1
        passed(limits, model="a")
        lost.leave()
        late.leave()
        assert limits.slots == 1


class TestModels:
    """Limits of a key at one model."""

    def test_each_model_has_its_own_minute(self) -> None:
        """``per_model`` binds each model separately, and a named model has its own row in its place."""
        limits, _ = limiter(Tier("t", Rates(10), Rates(2), {"big": Rates(1), "free": Rates()}))
        for model, count in (("a", 2), ("b", 2), ("big", 1), ("free", 3)):
            for _ in range(count):
                passed(limits, model=model).leave()
            if model == "free":
                continue
            fault = refused(limits, model=model)
            assert f"for {model}: limit {count} requests per minute, used {count}" in fault.message
        passed(limits, model="free")
        passed(limits, model="free")
        assert "limit 10 requests" in refused(limits, model="free").message

    def test_a_refusal_at_the_model_gives_the_key_everything_back(self) -> None:
        """The key's request, tokens and slot are what they were before a model's limit refused (B4, I24)."""
        limits, _ = limiter(Tier("t", Rates(3, 1000, 2), Rates(1, 500, 1)))
        running = passed(limits, 100)
        before = running.headers()
        for tokens in (10, 600, 950):
            refused(limits, tokens)
            assert running.headers() == before
            assert limits.slots == 1
        passed(limits, 100, model="other")

    def test_the_longest_of_several_waits_is_told(self) -> None:
        """When two limits refuse, the answer names the one that will refuse longer, so that its wait is true."""
        limits, clock = limiter(Tier("t", Rates(None, 1000), Rates(1)))
        passed(limits, 900, model="a").leave()
        clock.pass_s(30)
        passed(limits, 50, model="b").leave()
        fault = refused(limits, 500, model="b")
        assert (fault.type, fault.headers["retry-after"]) == ("requests", "60")
        clock.pass_s(60)
        passed(limits, 500, model="b")


class TestHeaders:
    """What OpenAI's six headers tell."""

    def test_they_tell_the_state_after_this_request(self) -> None:
        """Limit, what is left, and the time until nothing is used, for requests and tokens (B6)."""
        limits, clock = limiter(tier(60, 90_000, 2))
        lease = passed(limits, 1000)
        clock.pass_s(1.5)
        assert lease.headers() == (
            "x-ratelimit-limit-requests: 60\r\n"
            "x-ratelimit-remaining-requests: 59\r\n"
            "x-ratelimit-reset-requests: 58.5s\r\n"
            "x-ratelimit-limit-tokens: 90000\r\n"
            "x-ratelimit-remaining-tokens: 89000\r\n"
            "x-ratelimit-reset-tokens: 58.5s\r\n"
        )
        lease.correct(0)
        assert shown(lease.headers())["x-ratelimit-reset-tokens"] == "0s"

    def test_of_two_limits_the_tighter_is_shown(self) -> None:
        """Where key and model both have a limit, the headers are those of the one that leaves less."""
        limits, _ = limiter(Tier("t", Rates(10, 5000), Rates(3, 9000)))
        told = shown(passed(limits, 1000).headers())
        assert (told["x-ratelimit-limit-requests"], told["x-ratelimit-remaining-requests"]) == ("3", "2")
        assert (told["x-ratelimit-limit-tokens"], told["x-ratelimit-remaining-tokens"]) == ("5000", "4000")

    def test_only_limits_there_are_have_headers(self) -> None:
        """A key without token limit has no token headers, and a key without limits none at all."""
        limits, _ = limiter(tier(5))
        assert all("requests" in name for name in shown(passed(limits).headers()))
        assert len(shown(passed(limits).headers())) == 3
        assert limits.admit(caller(None)).headers() == ""

    def test_an_error_carries_them_too(self) -> None:
        """A fault of a later stage tells the same state, and keeps its own headers."""
        limits, _ = limiter(tier(5))
        lease, fault = passed(limits), InvalidRequest("no", headers={"retry-after": "9"})
        lease.tell(fault)
        assert fault.headers == {"retry-after": "9", **shown(lease.headers())}
        FREE.tell(fault)
        assert refused(limiter(tier(0))[0]).headers["x-ratelimit-limit-requests"] == "0"


class TestSoft:
    """Limits that are only watched."""

    def test_a_soft_limit_refuses_nothing_and_is_flagged(self) -> None:
        """Over a soft limit requests pass; the reply says so and the metric counts each request once."""
        soft = Tier("t", Rates(2, 1000, None, frozenset({"requests", "tokens"})))
        limits, _ = limiter(soft)
        assert passed(limits, 900).headers() == ""
        lease = passed(limits, 200)
        assert lease.headers() == "x-tollhouse-soft-limit: tokens\r\n"
        lease.correct(300)
        lease = passed(limits, 10**9)
        assert lease.headers() == "x-tollhouse-soft-limit: requests, tokens\r\n"
        counts = limits.metrics.counts
        assert counts["tollhouse_soft_limit_exceeded", "t", "tokens"] == 2
        assert counts["tollhouse_soft_limit_exceeded", "t", "requests"] == 1

    def test_use_beyond_the_estimate_can_exceed_it(self) -> None:
        """A correction that goes over a soft limit is flagged on the reply it belongs to."""
        limits, _ = limiter(Tier("t", Rates(None, 1000, None, frozenset({"tokens"}))))
        lease = passed(limits, 10)
        lease.correct(1001)
        assert lease.soft == ("tokens",)


class TestTiers:
    """Which limits are a key's."""

    def test_no_tier_is_no_limit_unless_there_is_a_default(self) -> None:
        """A key that names no tier has the default tier's limits, and none where there is no default."""
        limits, _ = limiter(tier(1))
        assert limits.admit(caller(None)) is FREE
        limits.follow(settings(tier(1), default="t"))
        limits.admit(caller(None))
        with pytest.raises(RateLimited):
            limits.admit(caller(None))

    def test_a_tier_of_no_limits_is_free(self) -> None:
        """Nothing is counted for a key whose tier limits nothing."""
        limits, _ = limiter(Tier("t"))
        lease = limits.admit(caller())
        assert lease is FREE
        lease.reserve("m", 10**12)
        lease.correct(1)
        lease.leave()
        lease.withdraw()
        assert (lease.headers(), limits.slots) == ("", 0)

    def test_a_tier_that_is_gone_opens_nothing(self) -> None:
        """A key whose tier was removed has the default tier, or else the least of every limit; the operator is told."""
        limits, _ = limiter(tier(1), Tier("big", Rates(100, 500)), default="big")
        told: list[str] = []
        limits.alert = told.append
        assert shown(limits.admit(caller("lost")).headers())["x-ratelimit-limit-requests"] == "100"
        assert shown(limits.admit(caller("lost")).headers())["x-ratelimit-limit-requests"] == "100"
        assert told == ["lost"]
        limits.follow(settings(Tier("big", Rates(100, 500)), Tier("small", Rates(7, None, 3))))
        lease = limits.admit(caller("lost", "key_2"))
        assert shown(lease.headers())["x-ratelimit-limit-requests"] == "7"
        assert shown(lease.headers())["x-ratelimit-limit-tokens"] == "500"
        assert told == ["lost", "lost"]
        limits.follow(settings())
        assert limits.admit(caller("lost", "key_3")) is FREE

    def test_a_reload_changes_running_minutes(self) -> None:
        """Changed limits apply at once to what was used before, for keys, models and slots, and requests run on."""
        limits, clock = limiter(Tier("t", Rates(10, 1000, 5), Rates(10)))
        leases = [passed(limits, 100) for _ in range(4)]
        limits.follow(settings(Tier("t", Rates(4, 1000, 5), Rates(10))))
        assert "limit 4 requests per minute, used 4" in refused(limits).message
        limits.follow(settings(Tier("t", Rates(10, 450, 5), Rates(10))))
        assert "limit 450 tokens per minute, used 400" in refused(limits, 51).message
        limits.follow(settings(Tier("t", Rates(10, 1000, 5), Rates(10), {"m": Rates(3)})))
        assert "for m: limit 3 requests per minute, used 4" in refused(limits).message
        limits.follow(settings(Tier("t", Rates(10, 1000, 4), Rates(10))))
        assert refused(limits).type == "concurrency"
        limits.follow(settings(Tier("t", Rates(None, None, 9))))
        leases[0].correct(5000)  # a limit that is gone is not counted
        passed(limits, 10**9)
        limits.follow(settings(Tier("t")))
        assert limits.admit(caller()) is FREE
        for lease in leases:
            lease.leave()
        clock.pass_s(120)
        limits.sweep()
        assert limits.slots == 1

    def test_idle_keys_are_forgotten(self) -> None:
        """Once its minute is over a key without running requests takes no memory, and what runs is kept."""
        limits, clock = limiter(Tier("t", Rates(10, 1000), Rates(5)))
        for number in range(2500):
            passed(limits, 1, key=f"key_{number}").leave()
        running = passed(limits, 5, model="slow", key="key_7")
        clock.ns += MINUTE + SECOND
        for _ in range(3):
            limits.sweep()
        assert list(limits._keys) == ["key_7"]
        assert list(limits._keys["key_7"].models) == ["slow"]
        running.leave()
        limits.sweep()
        assert not limits._keys
