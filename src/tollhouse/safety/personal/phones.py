"""Phone numbers. Pure. `finding` calls `scan_phones` with folded texts.

Theory of operation. A number without context is just a number, so shape decides, and a miss is preferred to a mask on
every order number: an international number has a plus and a country's calling code; a national one is told by the
groups in which its country writes it; anything else is a phone number only if a word before it says so. Only stretches
of digits are read, each pattern a bounded way from each place where it may begin, so that no text costs more than
linear time.
"""

import re
from collections.abc import Iterator

from tollhouse.safety.personal.stretches import Span

_CODES = (
    "1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 "
    "86 90 91 92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 236 "
    "237 238 239 240 241 242 243 244 245 246 248 249 250 251 252 253 254 255 256 257 258 260 261 262 263 264 265 266 "
    "267 268 269 290 291 297 298 299 350 351 352 353 354 355 356 357 358 359 370 371 372 373 374 375 376 377 378 380 "
    "381 382 383 385 386 387 389 420 421 423 500 501 502 503 504 505 506 507 508 509 590 591 592 593 594 595 596 597 "
    "598 599 670 672 673 674 675 676 677 678 679 680 681 682 683 685 686 687 688 689 690 691 692 800 808 850 852 853 "
    "855 856 870 878 880 881 882 883 886 888 960 961 962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 979 "
    "992 993 994 995 996 998"
)
_CALLING_CODES = frozenset(_CODES.split())
"""https://www.itu.int/pub/T-SP-E.164D"""
_FIXED_DIGITS = {"1": 11, "7": 11}
"""Where every number of a zone is equally long, what follows is no part of it."""
_MOST_DIGITS = 15
"""E.164, section 6."""
_LEAST_DIGITS = 7
_GROUP = re.compile("[0-9]+")

_INTERNATIONAL = re.compile(r"(?<![0-9A-Za-z_+])(?:\+|(?<![.,])00 ?(?=[1-9]))\(?[1-9](?:[ ().\-/]{0,3}[0-9]){6,15}")
_NATIONAL = re.compile(
    r"(?<![0-9A-Za-z_.+\-/$,])(?<![0-9] )(?:"
    r"(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?-?|[2-9][0-9]{2}(?P<gap>[.-]))"  # the United States, Canada, the Caribbean
    r"[2-9][0-9]{2}(?(gap)(?P=gap)|[ .-])[0-9]{4}"
    r"|\([1-9]{2}\) ?9[0-9]{4}-[0-9]{4}"  # Brazil
    r"|8[ -]?\(?[3-9][0-9]{2}\)?[ -][0-9]{3}[ -][0-9]{2}[ -][0-9]{2}"  # Russia, Kazakhstan
    r"|1[3-9][0-9](?P<han>[ -])[0-9]{4}(?P=han)[0-9]{4}"  # China
    r")(?![0-9A-Za-z_]|[.,/-][0-9])"
)
_TRUNK = re.compile(
    r"(?<![0-9A-Za-z_.+\-/$,:(])(?<![0-9] )\(?0[1-9][0-9]{0,4}\)?(?:[ .\-/]{1,3}[0-9]{2,8}){1,5}+"
    r"(?![0-9A-Za-z_:]|[ .,/-][0-9])"
)
_TRUNK_DIGITS = range(9, 13)
_DATE = re.compile(
    r"[0-3]?[0-9]([./-])[01]?[0-9]\1(?:(?:19|20)[0-9]{2}(?![0-9])|[0-9]{2} )"
    r"|(?:19|20)[0-9]{2}([./-])[01]?[0-9]\2[0-3]?[0-9]"
)
_DECIMAL = re.compile(r"\+?[0-9]+\.[0-9]+")
_ANY = re.compile(r"(?<![0-9A-Za-z_.+/$-])\(?[0-9](?:[ ().\-]{0,2}[0-9]){6,14}")
_NAMES = (
    *(
        "phone",
        "telefon",
        "telefono",
        "tel",
        "mobile",
        "cell",
        "call",
        "fax",
        "sms",
        "text me",
        "whatsapp",
        "ph",
        "handy",
        "rufnummer",
    ),
    *("portable", "teléfono", "móvil", "movil", "celular", "téléphone", "тел", "电话", "手机", "電話", "携帯", "전화"),
)
_NAMED = re.compile(
    rf"(?<![^\W\d_])(?:tele)?(?:{'|'.join(_NAMES)})(?:s|phone|number|nummer)?(?![A-Za-z])[^0-9\n{{}}\[\]();]*$"
)
"""Before a number, in small letters."""
_NAME_CHARS = 28
_BEFORE_CHARS = 3
"""A plus, a blank and a bracket may stand before the first digit."""
_AFTER_CHARS = 2
"""What must not follow a number is seen in so many characters."""


def scan_phones(text: str, stretches: list[Span]) -> Iterator[Span]:
    """Phone numbers: international, national in their usual groups, and those that are called phone numbers."""
    floor = 0
    for start, stop in stretches:
        begin = max(floor, start - _BEFORE_CHARS)
        yield from _international(text, begin, stop)
        if not text[start:stop].isdigit():
            yield from _national(text, begin, stop)
        yield from _named(text, begin, stop)
        floor = stop


def _international(text: str, begin: int, stop: int) -> Iterator[Span]:
    if text.find("+", begin, stop) < 0 and text.find("00", begin, stop) < 0:
        return
    for match in _INTERNATIONAL.finditer(text, begin, stop):
        if (end := _international_end(text, match)) is not None:
            yield match.start(), end


def _national(text: str, begin: int, stop: int) -> Iterator[Span]:
    for match in _NATIONAL.finditer(text, begin, stop + _AFTER_CHARS):
        yield match.span()
    for match in _TRUNK.finditer(text, begin, stop + _AFTER_CHARS):
        usual = sum(map(str.isdigit, match[0])) in _TRUNK_DIGITS
        if usual and not _DATE.match(match[0]) and not _DECIMAL.fullmatch(match[0]):
            yield match.span()


def _named(text: str, begin: int, stop: int) -> Iterator[Span]:
    """What the words before a stretch say is a phone number: the first number of the stretch."""
    match = _ANY.search(text, begin, stop)
    if match is None or _DATE.match(match[0]):
        return
    start = match.start()
    before = text[max(0, start - _NAME_CHARS) : start].lower()
    if any(name in before for name in _NAMES) and _NAMED.search(before):
        end, digits = _cut(text, start, match.end(), _MOST_DIGITS)
        if len(digits) >= _LEAST_DIGITS:
            yield start, end


def _international_end(text: str, match: re.Match[str]) -> int | None:
    """Where an international number ends; None where it is none."""
    start, end = match.span()
    zeros = 2 if text[start] == "0" else 0
    end, digits = _cut(text, start, end, _MOST_DIGITS + zeros)
    digits = digits[zeros:]
    code = next((digits[:size] for size in (1, 2, 3) if digits[:size] in _CALLING_CODES), None)
    if _DECIMAL.fullmatch(match[0]):
        return None
    unbroken = end - start - 1 <= len(digits) + zeros
    if code is None or (code == "1" and digits[1:2] in "01") or (zeros and unbroken):
        return None
    if (fixed := _FIXED_DIGITS.get(code)) is not None:
        end, digits = _cut(text, start, end, fixed + zeros)
        return end if len(digits) == fixed + zeros else None
    return end if len(digits) >= _LEAST_DIGITS + 1 + unbroken else None


def _cut(text: str, start: int, end: int, most: int) -> tuple[int, str]:
    """Where the last whole group of digits ends with which there are at most so many, and those digits."""
    if end < len(text) and text[end].isascii() and text[end].isalnum():
        end = start + len(text[start:end].rstrip("0123456789"))
    digits, stop = "", start
    for group in _GROUP.finditer(text, start, end):
        if len(digits) + len(group[0]) > most:
            break
        digits += group[0]
        stop = group.end()
    return stop, digits
