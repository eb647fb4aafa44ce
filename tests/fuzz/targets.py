"""The names of the targets."""

from tests.fuzz import (
    client_requests,
    config_files,
    event_stream,
    gateway,
    http_server,
    json_guard,
    safety_text,
    upstream_answers,
    upstream_client,
)
from tests.fuzz.engine import Opener

TARGETS: dict[str, Opener] = {
    "http-server": http_server.opened,
    "upstream-client": upstream_client.opened,
    "event-stream": event_stream.opened,
    "json-guard": json_guard.opened,
    "safety-text": safety_text.opened,
    "gateway": gateway.opened,
    "chat-types": gateway.opened_for_types,
    "config-files": config_files.opened,
    "client-requests": client_requests.opener(),
    **{f"answers-{name}": upstream_answers.opener(name) for name in upstream_answers.PROVIDERS},
}
