"""The names of the targets."""

from tests.fuzz import config_files, event_stream, gateway, http_server, json_guard, upstream_client
from tests.fuzz.engine import Opener

TARGETS: dict[str, Opener] = {
    "http-server": http_server.opened,
    "upstream-client": upstream_client.opened,
    "event-stream": event_stream.opened,
    "json-guard": json_guard.opened,
    "gateway": gateway.opened,
    "chat-types": gateway.opened_for_types,
    "config-files": config_files.opened,
}
