"""Keys, tokens, passwords and private keys. Pure. `finding` calls `scan_credentials` with folded texts.

Theory of operation. Most vendors give their keys a beginning by which scanners may know them. They are looked for as
plain strings in runs that are long enough to be a key, and the rest is matched only there. A key stands alone: what
precedes it is no part of a word, so that a long run of letters is read once and not from each of its beginnings. What
has no such beginning is known by what is said before it: ``Bearer``, ``password=``, ``AWS_SECRET_ACCESS_KEY``. Such a
value has to look like one that was made up by a machine, or by a person who was asked for digits and signs.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

Span = tuple[int, int]

_RULES: Final = (
    ("sk-", r"[A-Za-z0-9_-]{20,}+"),  # OpenAI, Anthropic, OpenRouter, DeepSeek, Tollhouse itself
    *((f"{kind}k_{mode}_", r"[A-Za-z0-9]{10,}+") for kind in "sr" for mode in ("live", "test", "prod")),  # Stripe
    ("whsec_", r"[A-Za-z0-9+/=]{24,}+"),
    ("AKIA", r"[A-Z2-7]{16}(?![A-Za-z0-9])"),  # AWS
    ("ASIA", r"[A-Z2-7]{16}(?![A-Za-z0-9])"),
    *((f"gh{kind}_", r"[A-Za-z0-9]{36,}+") for kind in "pousr"),  # GitHub
    ("github_pat_", r"[A-Za-z0-9_]{22,}+"),
    ("glpat-", r"[A-Za-z0-9_.-]{20,}+"),  # GitLab
    ("xox", r"[abceoprs]-[A-Za-z0-9-]{10,}+"),  # Slack
    ("xapp-", r"[A-Za-z0-9-]{10,}+"),
    ("AIza", r"[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),  # Google
    ("ya29.", r"[A-Za-z0-9_.-]{20,}+"),
    ("GOCSPX-", r"[A-Za-z0-9_-]{20,}+"),
    ("hf_", r"[A-Za-z0-9]{30,}+"),  # Hugging Face
    ("gsk_", r"[A-Za-z0-9]{32,}+"),  # Groq
    ("xai-", r"[A-Za-z0-9]{32,}+"),
    ("pplx-", r"[A-Za-z0-9]{32,}+"),
    ("r8_", r"[A-Za-z0-9]{32,}+"),  # Replicate
    ("nvapi-", r"[A-Za-z0-9_-]{32,}+"),
    ("npm_", r"[A-Za-z0-9]{36,}+"),
    ("pypi-", r"[A-Za-z0-9_-]{40,}+"),
    ("dop_v1_", r"[0-9a-f]{64}"),  # DigitalOcean
    ("shpat_", r"[0-9a-fA-F]{32}"),  # Shopify
    ("SG.", r"[A-Za-z0-9_-]{16,64}+\.[A-Za-z0-9_-]{16,64}+"),  # SendGrid
    ("eyJ", r"[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+){1,3}"),  # JWT, JWE
)
"""How vendors' keys begin, and how they go on. https://github.com/gitleaks/gitleaks/blob/master/config/gitleaks.toml
lists the sources."""
_BODIES: Final = tuple((start, re.compile(body)) for start, body in _RULES)
_RUN: Final = re.compile(r"[A-Za-z0-9_.-]{15,}+")
"""What is as long as the shortest key."""
_IN_A_WORD: Final = re.compile(r"[A-Za-z0-9_-]")

_PEM: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PEM_BODY: Final = re.compile(r"[A-Za-z0-9+/=\s\\:,.()\"'-]*+")
"""What stands between the lines of a key, its end included, also where source code or JSON quotes it."""
_PEM_END: Final = re.compile(r"-----END [A-Z0-9 ]{0,40}-----")
_PEM_CHARS: Final = 40
_HEADERS: Final = tuple(f"{scheme} " for word in ("bearer", "basic") for scheme in (word, word.title(), word.upper()))
_HEADER_VALUE: Final = re.compile(r" {0,2}([A-Za-z0-9._~+/=-]{16,}+)")
_LOGIN: Final = re.compile(r"[^\s/:@]{0,64}+:([^\s/@:]{3,128}+)@[^\s@]")
_AWS_KEY: Final = re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
_AWS_NEAR_CHARS: Final = 200

_PASSWORDS: Final = ("password", "passwort", "passwd", "passphrase", "pwd")
_TOKENS: Final = ("secret", "token", "apikey", "api_key", "api-key", "api key", "accesskey", "access_key", "access-key")
_KEYS: Final = ("private_key", "auth_key", "accountkey", "account_key", "signing_key", "encryption_key", "license_key")
_NAMES: Final = (*((name, True) for name in _PASSWORDS), *((name, False) for name in (*_TOKENS, *_KEYS)))
_VALUE: Final = re.compile(
    r"[A-Za-z0-9_-]{0,20}+[\"'\]]{0,2} {0,3}(?::=|=>|[=:]|(?P<said>is\b))\s{0,3}(?P<quote>[\"'`]?)"
    r"(?P<value>[^\s\"'`<>{}()\[\],;|]{8,200}+)"
)
_REFERENCE: Final = re.compile(r"[$%@&*./\\-]|https?:|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$|[A-Za-z_]+$|[0-9.:]+$")
"""What stands for a value, or is none: a variable, a path, an address, ``self.password``, a word, a number."""
_VARIABLE: Final = re.compile(r"[$%{<*\[]")
_STAND_INS: Final = (
    "example",
    "changeme",
    "your",
    "xxxx",
    "****",
    "dummy",
    "placeholder",
    "redacted",
    "insert",
    "here",
)
_PASSWORD_BITS: Final = 2.5
_TOKEN_BITS: Final = 3.0
"""Of entropy for a character, by how often each occurs; English words in small letters seldom have 3."""
_TOKEN_CHARS: Final = 12


def scan_credentials(text: str) -> Iterator[Span]:
    """Keys, tokens and passwords. Of ``password=...`` and the like, the value alone."""
    for run in _RUN.finditer(text):
        if not run[0].isalpha() and any(digit in run[0] for digit in "0123456789"):
            for start, body in _BODIES:
                yield from _scan_keys(text, run.span(), start, body)
    yield from _scan_private_keys(text)
    yield from _scan_headers(text)
    yield from _scan_logins(text)
    yield from _scan_values(text)


def is_secret_field(name: str, value: str) -> bool:
    """Whether a member of an object is a password or a key, by its name and its value."""
    lowered = name.lower()
    return any(word in lowered and _looks_made_up(value, password) for word, password in _NAMES)


def _scan_keys(text: str, run: Span, start: str, body: re.Pattern[str]) -> Iterator[Span]:
    at = text.find(start, *run)
    while at >= 0:
        match = None
        if not at or not _IN_A_WORD.match(text[at - 1]):
            match = body.match(text, at + len(start))
        if match is not None and _is_mixed(match[0]):
            yield at, at + len(text[at : match.end()].rstrip("."))
            if start in ("AKIA", "ASIA"):
                yield from _scan_aws_secret(text, match.end())
        at = text.find(start, at + len(start) if match is None else match.end(), run[1])


def _scan_aws_secret(text: str, start: int) -> Iterator[Span]:
    """The secret that stands beside an access key, whatever it is called."""
    for match in _AWS_KEY.finditer(text, start, start + _AWS_NEAR_CHARS):
        if _is_mixed(match[0]) and _bits(match[0]) > 4:
            yield match.span()


def _scan_private_keys(text: str) -> Iterator[Span]:
    """Private keys from their first line to their last; of one that was cut off, what there is."""
    floor = 0
    for match in _PEM.finditer(text) if "-----BEGIN" in text else ():
        body = _PEM_BODY.match(text, match.end())
        if match.start() < floor or body is None:
            continue
        last = _PEM_END.search(text, match.end(), body.end())
        floor = last.end() if last is not None else body.end()
        if last is not None or len(body[0]) >= _PEM_CHARS:
            yield match.start(), floor


def _scan_headers(text: str) -> Iterator[Span]:
    for scheme in _HEADERS:
        at = text.find(scheme)
        while at >= 0:
            match = _HEADER_VALUE.match(text, at + len(scheme))
            if match is not None and _is_mixed(match[1]) and _bits(match[1]) >= _TOKEN_BITS:
                yield match.span(1)
            at = text.find(scheme, at + len(scheme) if match is None else match.end())


def _scan_logins(text: str) -> Iterator[Span]:
    """The password in ``scheme://name:password@host``."""
    at = text.find("://")
    while at >= 0:
        match = _LOGIN.match(text, at + 3)
        if match is not None and not _VARIABLE.match(match[1]):
            yield match.span(1)
        at = text.find("://", at + 3)


def _scan_values(text: str) -> Iterator[Span]:
    lowered = text.lower()
    if len(lowered) != len(text):  # one letter of Turkish becomes two
        lowered = text
    for name, password in _NAMES:
        at = lowered.find(name)
        while at >= 0:
            span = _value_at(text, at + len(name), password)
            if span is not None:
                yield span
            at = lowered.find(name, span[1] if span is not None else at + len(name))


def _value_at(text: str, at: int, password: bool) -> Span | None:
    """The value that is given to what is named before this place; None where there is none, or no secret."""
    match = _VALUE.match(text, at)
    if match is None or (match["said"] and not password):
        return None
    value = match["value"].rstrip(".:!?" if match["quote"] else ".:")
    start = match.start("value")
    return (start, start + len(value)) if _looks_made_up(value, password) else None


def _looks_made_up(value: str, password: bool) -> bool:
    """Whether a value is a password or a token, and not a word, a number or something that stands for it."""
    if len(value) < (8 if password else _TOKEN_CHARS) or _REFERENCE.match(value):
        return False
    lowered = value.lower()
    if any(word in lowered for word in _STAND_INS):
        return False
    return _is_mixed(value) and _bits(value) >= (_PASSWORD_BITS if password else _TOKEN_BITS)


def _is_mixed(value: str) -> bool:
    """Whether there are both letters and digits."""
    return not value.isalpha() and any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def _bits(value: str) -> float:
    """The entropy of a value's characters, in bits for each."""
    size = len(value)
    return -sum(count / size * math.log2(count / size) for count in Counter(value).values())
