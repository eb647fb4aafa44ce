"""S17-S22, G3: canaries in every place that holds a secret, looked for in everything that leaves the process."""

import json
from pathlib import Path

from tests.fakes.chaos import ChaosUpstream, Close, Send, Step, whole
from tests.fakes.door import Door, opened
from tests.fakes.openai_wire import completion, failure, stream
from tests.gateway.kit import ASK, STREAM
from tollhouse.providers.openai import PROVIDER
from tollhouse.routing.health import Health
from tollhouse.settings.provider_keys import ProviderKeys
from tollhouse.settings.routing import Routing
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.calls import ChatCall, Target
from tollhouse.types.secret import Secret

KEY, HEADER, PROXY = "sk-CANARY-key-0123456789abcdef", "CANARY-header-value-01234567", "CANARYuser:CANARYpass"
ECHO = f"Incorrect API key provided: {KEY}. Header {HEADER}."


def config(up: ChaosUpstream) -> str:
    """A host with a secret in each place that takes one."""
    return (
        f'[providers.up0]\nbase_url = "{up.url}/v1"\napi_key = "{KEY}"\nmodels = ["m"]\n'
        f'[providers.up0.headers]\nx-secret-token = "{HEADER}"\n'
        f'[providers.up1]\nbase_url = "http://127.0.0.1:9/v1"\napi_key = "env:OTHER"\nmodels = ["m"]\n'
        f'proxy = "env:PROXY"\n[models.both]\ntargets = ["up0/m", "up1/m"]\n'
    )


PLAYS: list[list[Step]] = [
    [Send(completion())],
    [Send(stream("hi"))],
    [Send(failure(400, ECHO, "invalid_request"))],
    [Send(failure(401, ECHO))],
    [Send(failure(429, ECHO))],
    [Send(failure(500, ECHO))],
    [Send(whole(ECHO.encode(), 500, "text/plain"))],
    [Send(whole(ECHO.encode(), 200, "text/html"))],
    [Send(completion()[:60]), Close()],
    [Close()],
]


async def everything(door: Door) -> bytes:
    """All that the gateway says to anyone but the upstream."""
    said = b""
    for _ in PLAYS:
        for body in (ASK, STREAM, {**ASK, "model": "up0/m"}):
            door.app.parts.live.health = Health(Routing())  # each fault is told, whatever went before
            answer = await door.post(body)
            said += answer.body + json.dumps(answer.headers).encode()
    for path in ("/v1/models", "/v1/models/both", "/healthz", "/readyz", "/metrics", "/nope"):
        said += (await door.get(path)).body
    admin = Door(door.app, door.admin_port, door.admin_port, "admin-secret", door.log, door.config_file)
    said += (await admin.get("/admin/config")).body
    door.config_file.write_text("[providers.up0]\napi_key = 5\n" + f'x = "{KEY}"\n')
    said += (await admin.request("POST", "/admin/reload")).body
    for writer in admin.writers:
        writer.close()
    door.app.parts.log.flush()
    return said + door.log.getvalue()


async def test_s17_s18_no_canary_leaves_the_process() -> None:
    """Keys, secret headers and proxy passwords are in no response, error, log line, metric or page, whatever the
    upstream prints.
    """
    async with ChaosUpstream(*PLAYS) as up:
        environ = {"OTHER": "sk-CANARY-other-0123456789", "PROXY": f"http://{PROXY}@127.0.0.1:9"}
        async with opened(config(up), environ) as door:
            said = await everything(door)
            assert len(up.requests) > 10
            assert up.requests[0].headers["authorization"] == f"Bearer {KEY}"
            assert up.requests[0].headers["x-secret-token"] == HEADER
            for number, part in enumerate(said.split(b"CANARY")[1:]):
                raise AssertionError(f"canary {number} leaked, followed by {part[:60]!r}")


async def test_s19_the_clients_key_is_in_no_answer_and_no_log() -> None:
    """Neither a good key nor a wrong one comes back in a body, a header or a log line."""
    async with (
        ChaosUpstream([Send(failure(400, ECHO))]) as up,
        opened(config(up), {"OTHER": "x" * 20, "PROXY": "http://127.0.0.1:9"}) as door,
    ):
        wrong = "sk-th-WRONGKEYWRONGKEYWRONGKEY"
        answers = [await door.post(ASK), await door.post(ASK, authorization=f"Bearer {wrong}")]
        answers += [await door.post(b"{", x_api_key=wrong, authorization="")]
        door.app.parts.log.flush()
        said = b"".join(answer.body + json.dumps(answer.headers).encode() for answer in answers) + door.log.getvalue()
        assert door.key.encode() not in said
        assert wrong.encode() not in said


async def test_no_value_that_the_request_path_holds_prints_a_secret() -> None:
    """The settings, their sections, the hosts, the pools and a request ready to send may be printed."""
    environ = {"OTHER": "sk-CANARY-other-0123456789", "PROXY": f"http://{PROXY}@127.0.0.1:9"}
    async with ChaosUpstream([Close()]) as up, opened(config(up), environ) as door:
        snapshot = door.app.parts.live.snapshot
        offers = [offer for offer in snapshot.names.offers if offer.host.provider == "openai"]
        hosts = {offer.host.name: offer.host for offer in offers}
        assert HEADER in dict(hosts["up0"].headers).values()
        assert PROXY in (hosts["up1"].proxy or "")
        call = ChatCall("up0/m", {"messages": [{"role": "user", "content": "CANARY-prompt"}]}, False, False)
        encoded = PROVIDER.encode_chat(call, Target(hosts["up0"], "m"))
        assert KEY in str(encoded.outgoing.headers)
        shown = [repr(found) for found in (snapshot.settings, offers, snapshot.pools, snapshot.connectors, encoded)]
        shown.append(repr(ProviderKeys(api_key=KEY, proxy=PROXY, headers={"x": HEADER})))
        assert [text for text in shown if "CANARY" in text] == []


def test_s22_a_file_that_everyone_can_read_must_not_hold_a_secret(tmp_path: Path) -> None:
    """The database and its companions are their owner's alone."""
    store = SqliteStore(tmp_path / "t.db")
    store.load()
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0
    store.close()


def test_a_secret_never_prints() -> None:
    """No way of turning a Secret into text shows it."""
    secret = Secret("hunter2hunter2")
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r}",
        f"{[secret]}",
        json.dumps(str(secret)),
    ]
    assert not any("hunter2" in text for text in shown)
    assert secret.reveal() == "hunter2hunter2"
    assert secret == Secret("hunter2hunter2")
    assert len({secret, Secret("hunter2hunter2")}) == 1
