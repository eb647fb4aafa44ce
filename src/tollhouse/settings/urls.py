"""Addresses in the settings: base URLs, proxies, and the ``${VARIABLE}`` parts of a catalogue's URL.

Called by `config`, `settings.hosts` and `discovery`. A URL that passes here can be split safely.
"""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

VARIABLE = re.compile(r"\$\{(\w+)\}", re.ASCII)
HOST_NAME = re.compile(
    r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)
OPTION = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""A region, a project or a version: nothing that could lead an address elsewhere."""
PLAIN = re.compile(r"[\x21-\x7e]+")
MAX_URL_CHARS = 2048


def expand(template: str, environ: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The URL with its ``${VARIABLE}`` parts filled in, and the variables that are not set.

    People set a host variable with and without ``https://``; a second scheme is taken out.
    """
    missing = tuple(dict.fromkeys(name for name in VARIABLE.findall(template) if not environ.get(name)))
    if missing:
        return template, missing
    url = VARIABLE.sub(lambda found: environ[found[1]].strip().rstrip("/"), template)
    url = re.sub(r"^https://global-(?=[a-z]+\.googleapis\.com)", "https://", url)  # Google's one place without a name
    return re.sub(r"^https://(?=https?://)", "", url), ()


def option_values(
    variables: Mapping[str, tuple[str, ...]], stated: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    """What an address is made of, by the name of its setting: as it is stated, else the first of its variables that is
    set. Those that are neither are left out.
    """
    found = dict(stated)
    for name, names in variables.items():
        values = [value for variable in names if (value := environ.get(variable, "").strip())]
        if name not in found and values and OPTION.fullmatch(values[0]):
            found[name] = values[0]
    return found


def check_url(url: str) -> str | None:
    """What is wrong with a base URL, or None."""
    parts = _split(url)
    if isinstance(parts, str):
        return parts
    if parts.username is not None or parts.password is not None:
        return "credentials in the URL: they belong in api_key"
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        return "a query or fragment: the path of each request is appended"
    return None


def check_proxy(url: str) -> str | None:
    """What is wrong with a proxy's URL, or None; user and password may be part of it."""
    parts = _split(url)
    if isinstance(parts, str):
        return parts
    if parts.scheme != "http" or parts.path.strip("/") or parts.query or parts.fragment:
        return "not of the form http://host:port"
    return None


def is_loopback(url: str) -> bool:
    """Whether a checked URL leads to this machine."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    return host.endswith(".localhost") or is_local_address(host)


def is_local_address(host: str) -> bool:
    """Whether only this machine can reach what listens on an address or name; ``""`` is every address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def loopback_port(url: str) -> int | None:
    """The port of this machine that a checked URL leads to; None where it leads elsewhere."""
    if not is_loopback(url):
        return None
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def _split(url: str) -> SplitResult | str:
    if len(url) > MAX_URL_CHARS or not PLAIN.fullmatch(url):
        return "not a URL: empty, too long, or with a space or an unprintable character"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        return "not a URL: its host or port cannot be read"
    if parts.scheme not in {"http", "https"}:
        return "not a URL that starts with https:// or http://"
    if port == 0 or not (HOST_NAME.fullmatch(host) or _is_address(host)):
        return "not a URL: its host or port cannot be read"
    return parts


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
