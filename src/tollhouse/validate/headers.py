"""What a client's own headers may say. Called by the gateway before the body is read."""

import re

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)


def accept_request_id(value: str | None) -> str | None:
    """The client's ``x-request-id`` when it is safe to log and to send on; otherwise ``None``: make a new one."""
    return value if value is not None and REQUEST_ID.fullmatch(value) else None
