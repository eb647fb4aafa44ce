"""Takes credentials out of text that is about to leave: log lines and the messages of upstream errors.

The list is of shapes, not of known secrets, so it also catches a key that an upstream prints back in an error.
"""

import re

_SHAPES = re.compile(
    r"(?:sk|pk|rk|gsk|xai|hf|key|thk|ghp|AIza|ya29|r8|nvapi|csk|fw|pplx|tgp|AKIA)[-_.][A-Za-z0-9_\-.]{6,}[A-Za-z0-9*]*"
    r"|AIza[A-Za-z0-9_\-]{20,}"
    r"|(?i:bearer|basic)\s+[A-Za-z0-9_\-.=+/~]{6,}"
    r"|(?i:api[-_]?key|token|secret|password|authorization)[\"']?\s*[=:]\s*[\"']?[^\s\"',;&]{4,}"
    r"|eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-.]+"
    r"|(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"
    r"|[A-Za-z0-9+/_\-]{40,}={0,2}"
)


def redact(text: str) -> str:
    """The text with everything that looks like a credential replaced by ``[redacted]``."""
    return _SHAPES.sub("[redacted]", text)
