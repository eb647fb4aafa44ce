"""The files that settings name: each is opened while the settings are read, not when a request needs it.

Called by `config`, so that ``tollhouse check`` finds what ``tollhouse up`` would stop at. Opening never waits.
"""

import os
import ssl
import stat
from collections.abc import Iterable

from tollhouse.settings.reading import Problems, open_at_once

GGUF = b"GGUF"
"""What a model file of llama.cpp begins with (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)."""


def check_authorities(name: str, problems: Problems) -> None:
    """``upstream.ca_file`` holds at least one certificate, and nothing that OpenSSL stumbles over."""
    where = "upstream.ca_file"
    if not name or _read(name, 1, where, problems) is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(name)
    except OSError:  # what OpenSSL raises is one
        fix = "name a PEM file of certificates (-----BEGIN CERTIFICATE-----)"
        problems.add(where, f"{name} holds no certificate in PEM that can be loaded", fix)


def check_weights(names: Iterable[str], problems: Problems) -> None:
    """Each file of ``local.gguf`` begins as a GGUF file does; whether llama.cpp can run it shows when it is loaded."""
    for index, name in enumerate(names):
        where = f"local.gguf[{index}]"
        data = _read(name, len(GGUF), where, problems)
        if data is not None and data != GGUF:
            problems.add(where, f"{name} is not a GGUF file", "name a model file that ends in .gguf")


def _read(name: str, size: int, where: str, problems: Problems) -> bytes | None:
    """At most ``size`` bytes from the start of a regular file, or None after noting why there are none."""
    try:
        with open(name, "rb", opener=open_at_once) as source:
            if stat.S_ISREG(os.fstat(source.fileno()).st_mode):
                return source.read(size)
        problems.add(where, f"{name} is not a regular file", "check the path")
    except OSError as error:
        problems.add(where, f"{name} cannot be read: {error.strerror}", "check the path and its permissions")
    except ValueError:  # a NUL character
        problems.add(where, "not a path", "check the path")
    return None
