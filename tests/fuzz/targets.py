"""The names of the targets."""

from tests.fuzz import http_server
from tests.fuzz.engine import Opener

TARGETS: dict[str, Opener] = {
    "http-server": http_server.opened,
}
