"""Each detector's table: what it finds, and what it leaves alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.safety.personal.examples import BODY, CARDS, IBANS, KEYS, PRIVATE_KEY
from tollhouse.safety.personal.accounts import IBAN_LENGTHS, is_card, is_iban, passes_luhn
from tollhouse.safety.personal.finding import find
from tollhouse.safety.personal.kinds import KINDS


def values(text: str, kind: str) -> list[str]:
    """What is found of one kind."""
    return [text[found.start : found.end] for found in find(text, [kind])]


def all_kinds(text: str) -> list[tuple[str, str]]:
    """Everything that is found, with its kind."""
    return [(found.kind, text[found.start : found.end]) for found in find(text, KINDS)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("write to eva@example.com.", "eva@example.com"),
        ("<eva.maria+news@mail.example.co.uk>", "eva.maria+news@mail.example.co.uk"),
        ("mailto:o'brien@example.ie?subject=x", "o'brien@example.ie"),
        ("f('eva@example.com', 1)", "eva@example.com"),
        ('{"to":"a\\neva@example.com"}', "eva@example.com"),
        ("jörg@müller.de", "jörg@müller.de"),
        ("我的邮箱是eva@example.com。", "eva@example.com"),
        ("eva＠example.com", "eva＠example.com"),  # noqa: RUF001 - full width on purpose
        ("EVA_1%x@EXAMPLE.COM", "EVA_1%x@EXAMPLE.COM"),
        ("a@xn--bcher-kva.xn--p1ai", "a@xn--bcher-kva.xn--p1ai"),
        ("x=1&mail=eva@example.com&y=2", "eva@example.com"),
        ("eva@example.com-based", "eva@example.com"),
    ],
)
def test_an_email_address_is_found_exactly(text: str, value: str) -> None:
    """An address is found from its first to its last character and no further."""
    assert values(text, "email") == [value]


@pytest.mark.parametrize(
    "text",
    [
        *("@decorator", "user@localhost", "logo@2x.png", "git@github.com:a/b.git", "left-pad@1.3.0", "a @ b.com"),
        *("see @eva.maria", "@@@", "a@b", "eva@-example.com", "x@example..com"[:2], "..@example.com", "'@example.com"),
    ],
)
def test_what_is_no_email_address_is_left(text: str) -> None:
    """Handles, packages, pictures, repositories and lone at signs are no addresses."""
    assert values(text, "email") == []


@pytest.mark.parametrize("number", CARDS)
@pytest.mark.parametrize("shape", ["{}", "card {} 12/27", "n={};", "<{}>"])
def test_a_card_is_found_in_every_brand(number: str, shape: str) -> None:
    """The card schemes' own test numbers are found, whatever stands around them."""
    assert values(shape.format(number), "card") == [number]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4111 1111 1111 1111", "4111 1111 1111 1111"),
        ("4111-1111-1111-1111", "4111-1111-1111-1111"),
        ("3782 822463 10005", "3782 822463 10005"),
        ("4111 1111 1111 1111 123", "4111 1111 1111 1111"),
        ("4111 1111 1111 1111 12/26", "4111 1111 1111 1111"),
        ("４１１１１１１１１１１１１１１１", "４１１１１１１１１１１１１１１１"),  # noqa: RUF001
        ("4111\u00a01111\u00a01111\u00a01111", "4111\u00a01111\u00a01111\u00a01111"),
    ],
)
def test_a_card_is_found_in_groups(text: str, value: str) -> None:
    """A number in its printed groups is found, and what follows it is no part of it."""
    assert values(text, "card") == [value]


@pytest.mark.parametrize(
    "text",
    [
        *("4111111111111112", "1234567890123456", "1700000000000", "1700000000000000000", "0.4111111111111111"),
        *("41111111111111111111", "a4111111111111111", "4111111111111111b", "4111 1111-1111 1111", "9999999999999995"),
        *("00000000000000", "3f4111111111111111", "id_4111111111111111"),
    ],
)
def test_other_long_numbers_are_no_cards(text: str) -> None:
    """Wrong checks, timestamps, fractions, digests and unknown brands are left."""
    assert values(text, "card") == []


@given(st.text("0123456789", min_size=1, max_size=18))
def test_luhn_accepts_one_last_digit_in_ten(digits: str) -> None:
    """Of the ten numbers with one beginning exactly one passes."""
    assert [passes_luhn(digits + last) for last in "0123456789"].count(True) == 1


@given(st.sampled_from(CARDS), st.data())
def test_luhn_sees_every_wrong_digit(number: str, data: st.DataObject) -> None:
    """A card with one digit changed is none."""
    at = data.draw(st.integers(0, len(number) - 1))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != number[at]]))
    assert not passes_luhn(number[:at] + other + number[at + 1 :])
    assert not is_card(number[:at] + other + number[at + 1 :])


@pytest.mark.parametrize("number", IBANS)
def test_an_iban_is_found_in_every_writing(number: str) -> None:
    """At a stretch, in groups of four, in small letters, and with words behind it."""
    groups = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    for text in (number, groups, number.lower(), groups.replace(" ", "-")):
        assert values(f"pay {text}", "iban") == [text]
        assert values(f"{text}, BIC X", "iban") == [text]


@given(st.sampled_from(sorted(IBAN_LENGTHS)), st.data())
def test_an_iban_is_one_with_the_right_check_alone(country: str, data: st.DataObject) -> None:
    """Of all pairs of check digits from 02 to 98 exactly one makes an IBAN."""
    size = IBAN_LENGTHS[country] - 4
    account = data.draw(st.text("0123456789ABCXYZ", min_size=size, max_size=size))
    assert sum(is_iban(f"{country}{check:02}{account}") for check in range(2, 99)) == 1


@pytest.mark.parametrize(
    "text",
    [
        *("DE89370400440532013001", "DE8937040044053201300", "XX89370400440532013000", "DE89 3704  0044 0532 0130 00"),
        *("aDE89370400440532013000", "DE893704004405320130001", "AB12 cd", "DE89", "DE89 3704"),
    ],
)
def test_what_is_no_iban_is_left(text: str) -> None:
    """Wrong checks, lengths, countries and gaps are left."""
    assert values(text, "iban") == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, text) for text in ("+4930123456", "+49 30 123456", "+49 (0)30 / 123 456", "+1 (415) 555-2671")),
        *((text, text) for text in ("+14155552671", "+44 20 7946 0958", "+33 6 12 34 56 78", "0049 30 1234567")),
        *((text, text) for text in ("(415) 555-2671", "415-555-2671", "1-800-555-0199", "415.555.2671")),
        *((text, text) for text in ("030 1234567", "0171/1234567", "06 12 34 56 78", "020 7946 0958", "03-1234-5678")),
        *((text, text) for text in ("(11) 91234-5678", "8 (495) 123-45-67", "138-0013-8000", "0412 345 678")),
        ("+1 415 555 2671 100 people", "+1 415 555 2671"),
        ("Call 4155552671 now", "4155552671"),
        ("tel: 612 345 678", "612 345 678"),
        ("手机：13800138000", "13800138000"),  # noqa: RUF001
        ("My phone number is 415 555 2671, thanks", "415 555 2671"),
        ("Tel\\n+49 30 123456", "+49 30 123456"),
        ("＋４９３０１２３４５６", "＋４９３０１２３４５６"),  # noqa: RUF001
    ],
)
def test_a_phone_number_is_found(text: str, value: str) -> None:
    """International, national in its groups, or with a word that says so."""
    assert values(text, "phone") == [value]


@pytest.mark.parametrize(
    "text",
    [
        *("2024-01-02", "01-02-2023", "01.02.2023 10:15", "01/02/2023 1015", "2024-01-02T03:04:05.678901"),
        *("1700000000", "1700000000000", "192.168.178.100", "v1.2.3.4", "3.14159265358979", "$1,234,567.89"),
        *("1 234 567 890", "550e8400-e29b-41d4-a716-446655440000", "order 4155552671", "#1234567890", "+0100"),
        *("C++11", "x = y +12345", "12345678-1234", "978-0-306-40615-7", "0-306-40615-2", "1-2-3-4-5-6-7-8-9"),
        *("01 02 03 04 05 06 07", "200 300 4000", "d41d8cd98f00b204e9800998ecf8427e", "0.0.0.0:8080", "1e+12345678"),
        *("+999 123 456 789", "(2023) 123-145", "3,000,000", "0x0123456789", "call 2024-01-02", "0123456789"),
    ],
)
def test_other_numbers_are_no_phone_numbers(text: str) -> None:
    """Dates, versions, prices, digests, identifiers, addresses and lists are left."""
    assert values(text, "phone") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("123-45-6789", ["123-45-6789"]),
        ("SSN: 123456789", ["123456789"]),
        ("my social security number is 123 45 6789", ["123 45 6789"]),
        *((text, []) for text in ("123456789", "123 45 6789", "000-45-6789", "666-45-6789", "900-45-6789")),
        *((text, []) for text in ("123-00-6789", "123-45-0000", "1123-45-6789", "123-45-67890", "123-45-6789-1")),
    ],
)
def test_a_social_security_number_is_found(text: str, found: list[str]) -> None:
    """With dashes anywhere, otherwise where it is called one; never where none can be given out."""
    assert values(text, "ssn") == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from 203.0.113.7 at", ["203.0.113.7"]),
        ("192.168.1.10:8080", ["192.168.1.10"]),
        ("2001:db8:85a3::8a2e:370:7334", ["2001:db8:85a3::8a2e:370:7334"]),
        ("[fe80::1ff:fe23:4567:890a]", ["fe80::1ff:fe23:4567:890a"]),
        *((text, []) for text in ("127.0.0.1", "0.0.0.0", "255.255.255.255", "1.2.3", "1.2.3.4.5", "256.1.1.1")),  # noqa: S104
        *((text, []) for text in ("::1", "std::dec", "12:30:45", "a::b", "::", "v1.2.3.4", "-1.2.3.4")),
    ],
)
def test_an_ip_address_is_found(text: str, found: list[str]) -> None:
    """Addresses that are somebody's are found; versions, times and loopback are left."""
    assert values(text, "ip") == found


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("shape", ["{}", "key {}.", "'{}'", "X={}\n", '{{"k":"{}"}}', "a\\n{}\\n"])
def test_a_vendors_key_is_found(key: str, shape: str) -> None:
    """A key is found by its beginning, whatever stands around it."""
    assert values(shape.format(key), "secret") == [key]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"Authorization: Bearer {BODY[:30]}", BODY[:30]),
        ("authorization: basic dXNlcjpwYXNzd29yZDEyMw==", "dXNlcjpwYXNzd29yZDEyMw=="),
        ("postgres://app:s3cretpw@db.example.com/x", "s3cretpw"),
        ("redis://:correcthorse@cache:6379", "correcthorse"),
        ('password = "Tr0ub4dor&3"', "Tr0ub4dor&3"),
        ("DB_PASSWORD=hunter2hunter", "hunter2hunter"),
        ("My password is Tr0ub4dor&3.", "Tr0ub4dor&3"),
        ('{"password": "mypassword123"}', "mypassword123"),
        (
            f"AWS_SECRET_ACCESS_KEY={'wJalrXUtnFEMI/K7MDENG+bPxRfiCYzzzzzzKEY'}",
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYzzzzzzKEY",
        ),
        (f"api_key: '{BODY[:32]}'", BODY[:32]),
        (PRIVATE_KEY, PRIVATE_KEY),
        (PRIVATE_KEY.replace("\n", "\\n"), PRIVATE_KEY.replace("\n", "\\n")),
        (PRIVATE_KEY[:80], PRIVATE_KEY[:80]),
        (PRIVATE_KEY.replace("RSA ", ""), PRIVATE_KEY.replace("RSA ", "")),
    ],
)
def test_a_secret_is_found_by_what_is_said_before(text: str, value: str) -> None:
    """Of an assignment, a header or an address the secret alone is found; a private key as a whole."""
    assert values(text, "secret") == [value]


def test_the_secret_beside_an_access_key_is_found() -> None:
    """Forty characters near an AWS access key are its secret, whatever they are called; a commit's digest is none."""
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYqzwxyvtKEY"
    text = f"AKIAQ3XEXAMPLE7654ZZ and {secret} and da39a3ee5e6b4b0d3255bfef95601890afd80709"
    assert values(text, "secret") == ["AKIAQ3XEXAMPLE7654ZZ", secret]


@pytest.mark.parametrize(
    "text",
    [
        *("password = os.environ['X']", "password=$PASSWORD", "password: string", "self.password = password"),
        *("token = get_token(12345678)", "max_tokens=4096", "secret: your_secret_key_1", "password: ********"),
        *("tokens: 1000000000", "the password is wrong", "Bearer of bad news in 2024", "sk-learn-is-a-fine-library"),
        *("task-sk-abc123abc123abc123abc", "basic understanding of things", "api_key=config.api_key_2.value"),
        *("-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----", "https://example.com:8080/a@b", "eyJhbGci.x.y"),
        *("password: /etc/secrets/db1", "token=https://example.com/token1", "secret = ", "hf_hub_download_from_a_repo"),
        *("postgres://app:${PASSWORD}@db/x", "AKIA", "ghp_", "sk-"),
    ],
)
def test_what_stands_for_a_secret_is_none(text: str) -> None:
    """Variables, words, types, counts, paths and public parts are left."""
    assert values(text, "secret") == []


def test_kinds_are_told_apart_and_in_order() -> None:
    """Several kinds in one text are found in the order of the text, and no two overlap."""
    text = f"eva@example.com, +49 30 123456, {CARDS[0]}, {IBANS[0]}, 123-45-6789, 203.0.113.7, {KEYS[0]}"
    assert [kind for kind, _ in all_kinds(text)] == ["email", "phone", "card", "iban", "ssn", "ip", "secret"]


def test_only_the_kinds_that_are_asked_for_are_found() -> None:
    """Other kinds are not looked for; IP addresses not unless they are asked for."""
    text = f"eva@example.com {CARDS[0]} 203.0.113.7"
    assert [found.kind for found in find(text, ["card"])] == ["card"]
    assert [found.kind for found in find(text)] == ["email", "card"]


@given(st.text(max_size=200) | st.text("@.+-0 a1:/[=\\", max_size=200))
def test_spans_are_apart_whatever_the_text(text: str) -> None:
    """No text raises, and what is found is in order, inside the text, and apart."""
    done = 0
    for found in find(text, KINDS):
        assert done <= found.start < found.end <= len(text)
        done = found.end
