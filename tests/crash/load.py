"""Clients of the gateway that is to be killed: many at once, of every kind, who remember what they were told."""

import asyncio
import hmac
import itertools
import json
import random
import time
from hashlib import sha256

from tests.crash.server import SECRET, Server
from tests.crash.truth import REPLAYED, Named, Payment, Truth, Try
from tests.crash.upstream import Job
from tests.crash.wire import Answer, Unanswered, post

CLIENTS = 12
_PAUSE_S = 0.02


class Load:
    """The clients. ``keys`` are the text of the ordinary key and of the one with a small budget."""

    def __init__(self, truth: Truth, keys: tuple[str, str], org: str, admin_key: str, rng: random.Random) -> None:
        self._truth = truth
        self._key, self._tight = keys
        self._org = org
        self._admin = {"authorization": f"Bearer {admin_key}"}
        self._rng = rng
        self._numbers = itertools.count(1)

    async def run(self, server: Server, finished: asyncio.Event) -> None:
        """Asks until the server is gone or ``finished`` is set."""
        await asyncio.gather(*[self._client(server, finished) for _ in range(CLIENTS)])

    async def finish(self, server: Server) -> None:
        """Tries everything that is unfinished until it has an answer."""
        for named in self._truth.named:
            while not named.settled:
                await self._again(server, named)
        for payment in self._truth.payments:
            if not payment.acknowledged:
                await self._pay(server, payment)

    async def _client(self, server: Server, finished: asyncio.Event) -> None:
        while not finished.is_set():
            try:
                await self._something(server)
            except Unanswered:
                return

    async def _something(self, server: Server) -> None:
        chance, number = self._rng.random(), next(self._numbers)
        if chance < 0.35:
            await self._ask(server, number, stream=False)
        elif chance < 0.65:
            await self._ask(server, number, stream=True)
        elif chance < 0.75:
            await self._ask(server, number, stream=chance < 0.7, tight=True)
        elif chance < 0.92:
            await self._repeat(server, number)
        else:
            await self._top_up(server, number)

    # --- work ------------------------------------------------------------------------------------------------

    async def _ask(self, server: Server, number: int, *, stream: bool, tight: bool = False) -> None:
        one = Try(f"try-{number}", Job(number))
        self._truth.tries.append(one)
        if tight:
            self._truth.tight.append(one)
        self._note(one, await self._send(server, one, stream=stream, key=self._tight if tight else self._key))

    async def _send(self, server: Server, one: Try, *, stream: bool, key: str, name: str | None = None) -> Answer:
        headers = {"authorization": f"Bearer {key}", "x-request-id": one.request_id}
        if name is not None:
            headers["idempotency-key"] = name
        try:
            return await post(f"{server.url}/chat/completions", one.job.body(stream=stream), headers)
        except Unanswered as end:
            one.received = len(_streamed(end.body))
            raise

    def _note(self, one: Try, answer: Answer) -> None:
        """Remembers an answer that came in whole."""
        if answer.status == 402:
            one.refused = True
        elif answer.status != 200:
            self._truth.surprises.append(f"{one.request_id}: {answer.status} {answer.body[:300]!r}")
        else:
            stream = answer.headers["content-type"].startswith("text/event-stream")
            one.whole = answer.done if stream else answer.json["usage"]["total_tokens"] > 0
            one.of = answer.headers.get(REPLAYED)
            self._truth.acknowledged += 1
            if "".join(one.job.words).split() != _words(answer, stream=stream):
                self._truth.surprises.append(f"{one.request_id}: another answer: {answer.body[:300]!r}")

    async def _repeat(self, server: Server, number: int) -> None:
        """Work under a name: new, or left from before the crash; often twice at once."""
        left = [named for named in self._truth.named if not named.settled]
        if left and self._rng.random() < 0.7:
            named = self._rng.choice(left)
        else:
            named = Named(f"name-{number}", Job(number), self._rng.random() < 0.5)
            self._truth.named.append(named)
        together = [self._again(server, named) for _ in range(self._rng.choice((1, 1, 2)))]
        results = await asyncio.gather(*together, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _again(self, server: Server, named: Named) -> None:
        one = Try(f"try-{next(self._numbers)}", named.job)
        named.tries.append(one)
        self._truth.tries.append(one)
        answer = await self._send(server, one, stream=named.stream, key=self._key, name=named.name)
        if answer.status == 409:
            named.lost |= answer.headers.get("x-should-retry") == "false"
            await asyncio.sleep(_PAUSE_S)
        else:
            self._note(one, answer)

    # --- money -----------------------------------------------------------------------------------------------

    async def _top_up(self, server: Server, number: int) -> None:
        left = [payment for payment in self._truth.payments if not payment.acknowledged]
        if left and self._rng.random() < 0.7:
            payment = self._rng.choice(left)
        else:
            source = self._rng.choice(("stripe", "admin"))
            payment = Payment(f"pay-{number}", source, 1 + number % 500)
            self._truth.payments.append(payment)
        await self._pay(server, payment)

    async def _pay(self, server: Server, payment: Payment) -> None:
        if payment.source == "admin":
            body = {"amount_usd": f"{payment.cents / 100:.2f}", "reason": "crash rig"}
            url = f"{server.admin_url}/admin/organizations/{self._org}/grants"
            answer = await post(url, body, {**self._admin, "idempotency-key": payment.id})
        else:
            answer = await self._send_event(server, payment)
        if answer.status not in (200, 201):
            self._truth.surprises.append(f"{payment.id}: {answer.status} {answer.body[:300]!r}")
        payment.acknowledged = True
        self._truth.acknowledged += 1

    async def _send_event(self, server: Server, payment: Payment) -> Answer:
        paid: dict[str, object] = {"id": payment.id, "amount_received": payment.cents, "currency": "usd"}
        paid["metadata"] = {"tollhouse_org": self._org}
        event = {"id": f"evt-{payment.id}", "type": "payment_intent.succeeded", "data": {"object": paid}}
        body, at = json.dumps(event).encode(), int(time.time())
        signature = hmac.new(SECRET.encode(), b"%d." % at + body, sha256).hexdigest()
        headers = {"stripe-signature": f"t={at},v1={signature}"}
        return await post(server.url.removesuffix("/v1") + "/webhooks/stripe", body, headers)


def _words(answer: Answer, *, stream: bool) -> list[str]:
    """The words of an answer."""
    if not stream:
        return str(answer.json["choices"][0]["message"]["content"]).split()
    return _streamed(answer.body)


def _streamed(body: bytes) -> list[str]:
    """The words of a stream, or of what came of it: whole events alone."""
    lines = [line[6:] for line in body.decode().split("\n\n")[:-1] if line.startswith("data: {")]
    deltas = [choice["delta"] for line in lines for choice in json.loads(line)["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas).split()
