"""Numbers that carry their own check: payment cards, IBANs, US social security numbers. Pure.

`finding` calls the scanners; each takes a folded text and gives the spans of what it finds, in linear time.
"""

import re
from collections.abc import Iterator

from tollhouse.safety.personal.stretches import Span

_CARD = re.compile(
    r"(?<![0-9A-Za-z_])(?<![0-9][.,])"
    r"(?:[0-9]{4}(?P<four>[ -])[0-9]{4}(?P=four)[0-9]{4}(?P=four)[0-9]{4}(?P<more>(?P=four)[0-9]{1,3})?+"
    r"|[0-9]{4}(?P<six>[ -])[0-9]{6}(?P=six)[0-9]{4,5}+"
    r"|[0-9]{13,19}+)(?![0-9A-Za-z_])"
)
_LEAST_CARD = 13
_CARD_RANGES: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (4, 4, (13, 16, 19)),  # Visa
    (51, 55, (16,)),  # Mastercard
    (2221, 2720, (16,)),
    (34, 34, (15,)),  # American Express
    (37, 37, (15,)),
    (6011, 6011, (16, 17, 18, 19)),  # Discover
    (644, 659, (16, 17, 18, 19)),
    (3528, 3589, (16, 17, 18, 19)),  # JCB
    (300, 305, (14, 16)),  # Diners Club
    (3095, 3095, (14, 16)),
    (36, 36, (14,)),
    (38, 39, (14, 16)),
    (62, 62, (16, 17, 18, 19)),  # UnionPay
    (2200, 2204, (16, 17, 18, 19)),  # Mir
    (5018, 5018, (16, 18, 19)),  # Maestro
    (5020, 5020, (16, 18, 19)),
    (5038, 5038, (16, 18, 19)),
    (6304, 6304, (16, 18, 19)),
    (6759, 6763, (16, 18, 19)),
    (508, 508, (16,)),  # RuPay
    (60, 60, (16,)),
    (81, 82, (16,)),
    (9792, 9792, (16,)),  # Troy
)
"""First and last beginning of a brand's numbers, and how many digits they have (ISO/IEC 7812)."""
_IBANS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 "
    "EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 "
    "KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 "
    "PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 "
    "UA29 VA22 VG24 XK20 YE30"
)
IBAN_LENGTHS = {row[:2]: int(row[2:]) for row in _IBANS.split()}
"""Characters, by country: the IBAN registry, https://www.swift.com/standards/data-standards/iban."""
_IBAN_START = re.compile(r"[0-9]{2}(?=[ -]?[0-9A-Za-z])(?<=[A-Za-z]{2}[0-9]{2})(?<![0-9A-Za-z_][A-Za-z]{2}[0-9]{2})")
"""It begins with what is rare: a pattern that begins with a look behind is tried at every character."""
_COUNTRY_CHARS = 2

_SSN = re.compile(
    r"(?<![0-9A-Za-z_.+-])(?!000|666|9)[0-9]{3}(?P<gap>[ -]?)(?!00)[0-9]{2}(?P=gap)(?!0000)[0-9]{4}"
    r"(?![0-9A-Za-z_]|-[0-9])"
)
_SSN_NAMED = re.compile(r"(?:\bssn\b|social[ -]?security)[^0-9\n]*$", re.IGNORECASE)
_BEFORE_CHARS = 40


def passes_luhn(digits: str) -> bool:
    """Whether the last of some ASCII digits checks the others (ISO/IEC 7812-1, annex B)."""
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(map(int, digits[::-2]))) % 10 == 0


def is_card(digits: str) -> bool:
    """Whether ASCII digits are the number of a payment card: a brand's beginning and length, and a right check."""
    size = len(digits)
    known = any(low <= int(digits[: len(str(low))]) <= high and size in sizes for low, high, sizes in _CARD_RANGES)
    return known and passes_luhn(digits)


def is_iban(text: str) -> bool:
    """Whether upper-case letters and digits are an IBAN: its country's length, and 1 modulo 97 (ISO 13616)."""
    if IBAN_LENGTHS.get(text[:2]) != len(text) or not text.isascii() or not text.isalnum():
        return False
    return int("".join([str(int(character, 36)) for character in text[4:] + text[:4]])) % 97 == 1


def scan_cards(text: str, stretches: list[Span]) -> Iterator[Span]:
    """Payment cards: digits at a stretch, or in the groups that are printed on them, with one kind of gap."""
    for begin, stop in stretches:
        if stop - begin < _LEAST_CARD:
            continue
        for match in _CARD.finditer(text, begin, stop + 1):
            start, end = match.span()
            if is_card(_digits(match[0])):
                yield start, end
            elif match["more"] and is_card(_digits(text[start : match.start("more")])):
                yield start, match.start("more")  # what follows a card: its code, or the month


def scan_ibans(text: str) -> Iterator[Span]:
    """IBANs, at a stretch or in groups."""
    for match in _IBAN_START.finditer(text):
        start = match.start() - _COUNTRY_CHARS
        length = IBAN_LENGTHS.get(text[start : start + 2].upper())
        end = None if length is None else _end_of(text, start, length)
        if end is not None and is_iban(text[start:end].replace(" ", "").replace("-", "").upper()):
            yield start, end


def _end_of(text: str, start: int, length: int) -> int | None:
    """Where so many letters and digits end that have single gaps between them; None where they are fewer or more."""
    at, left = start, length
    while left and at < len(text):
        character = text[at]
        if character.isascii() and character.isalnum():
            left -= 1
        elif character not in " -" or text[at - 1] in " -":
            return None
        at += 1
    if left or (at < len(text) and text[at].isalnum()):
        return None
    return at


def scan_ssns(text: str, stretches: list[Span]) -> Iterator[Span]:
    """US social security numbers: with dashes, or otherwise where the words before say that it is one."""
    for start, stop in stretches:
        for match in _SSN.finditer(text, start, stop + 2):
            before = text[max(0, match.start() - _BEFORE_CHARS) : match.start()]
            if match["gap"] == "-" or _SSN_NAMED.search(before):
                yield match.span()


def _digits(text: str) -> str:
    return text.replace(" ", "").replace("-", "")
