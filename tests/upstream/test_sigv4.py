"""Signature Version 4: AWS's own vectors, and what Bedrock's requests need of it.

The signatures are those of the signing test suite (awslabs/aws-c-auth, tests/aws-signing-test-suite/v4), its cases
named beside them.
"""

import re

import pytest

from tollhouse.errors import UpstreamAuth
from tollhouse.types.calls import Host
from tollhouse.types.secret import Secret
from tollhouse.types.wire import Outgoing
from tollhouse.upstream.signing import SIGNERS
from tollhouse.upstream.sigv4 import AwsSigner, Scope, sign

AT = "20150830T123600Z"
AUTHORITY = "example.amazonaws.com"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"
SCOPE = Scope("AKIDEXAMPLE", SECRET, "us-east-1", "service")
FORM = (
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("Content-Length", "13"),
    ("x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"),
)


def signature(outgoing: Outgoing) -> tuple[str, str]:
    """The headers that were signed, and the signature."""
    found = re.search(r"SignedHeaders=([^,]*), Signature=([0-9a-f]{64})$", dict(outgoing.headers)["authorization"])
    assert found
    return found[1], found[2]


@pytest.mark.parametrize(
    ("outgoing", "scope", "expected"),
    [
        pytest.param(
            Outgoing("GET", "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1", (), b""),
            SCOPE,
            ("host;x-amz-date", "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"),
            id="get-vanilla-query-order-encoded",
        ),
        pytest.param(
            Outgoing("GET", "/", (("My-Header1", " value1"), ("My-Header2", ' "a   b   c"')), b""),
            SCOPE,
            (
                "host;my-header1;my-header2;x-amz-date",
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
            id="get-header-value-trim",
        ),
        pytest.param(
            Outgoing("GET", "/example space/", (), b""),
            SCOPE,
            ("host;x-amz-date", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
            id="get-space-normalized",
        ),
        pytest.param(
            Outgoing("GET", "/ሴ", (), b""),
            SCOPE,
            ("host;x-amz-date", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
            id="get-utf8",
        ),
        pytest.param(
            Outgoing("GET", "/", (), b""),
            Scope("AKIDEXAMPLE", SECRET, "us-east-1", "service", TOKEN),
            (
                "host;x-amz-date;x-amz-security-token",
                "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
            ),
            id="get-vanilla-with-session-token",
        ),
        pytest.param(
            Outgoing("POST", "/", FORM, b"Param1=value1"),
            SCOPE,
            (
                "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
                "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
            ),
            id="post-x-www-form-urlencoded",
        ),
    ],
)
def test_the_vendors_vectors(outgoing: Outgoing, scope: Scope, expected: tuple[str, str]) -> None:
    """Requests of the vendor's test suite get the vendor's signatures."""
    assert signature(sign(outgoing, AUTHORITY, scope, AT)) == expected


def test_the_path_is_encoded_twice() -> None:
    """A model's name is encoded again for the signature, and sent as it was; botocore signs this request the same."""
    path = "/model/us.amazon.nova-2-lite-v1%3A0/converse-stream?x=1&b=%20"
    headers = (("content-type", "application/json"), ("accept", "x"), ("user-agent", "u"), ("x-op", " a  b "))
    scope = Scope("AKID", "sec", "us-east-1", session_token="tok+/=")
    made = sign(Outgoing("POST", path, headers, b'{"a":1}'), "bedrock-runtime.us-east-1.amazonaws.com", scope, AT)
    assert made.path == path
    assert signature(made) == (
        "accept;content-type;host;x-amz-date;x-amz-security-token;x-op",
        "fc4c2482fc08986e3a78643501d911a424951e70ee3118dcc4673c5147d01862",
    )


def test_nothing_is_signed_twice() -> None:
    """A request that was signed before is signed anew, and everything else of it is as it was."""
    outgoing = Outgoing("POST", "/", (("content-type", "a"), ("user-agent", "u")), b"x")
    once = sign(outgoing, AUTHORITY, SCOPE, AT)
    twice = sign(once, AUTHORITY, SCOPE, "20150831T000000Z")
    assert [name for name, _ in twice.headers].count("authorization") == 1
    assert dict(twice.headers)["x-amz-date"] == "20150831T000000Z"
    assert (twice.method, twice.path, twice.body) == (outgoing.method, outgoing.path, outgoing.body)
    assert "host" not in dict(twice.headers)


def host(base_url: str, options: tuple[tuple[str, str], ...] = (), **secrets: str) -> Host:
    """A host whose requests are signed."""
    kept = tuple((name, Secret(value)) for name, value in secrets.items())
    return Host("aws", base_url, auth="sigv4", options=options, secrets=kept)


@pytest.mark.parametrize(
    ("base_url", "options", "region"),
    [
        ("https://bedrock-runtime.eu-west-1.amazonaws.com", (), "eu-west-1"),
        ("https://bedrock-runtime.us-gov-west-1.amazonaws.com", (), "us-gov-west-1"),
        ("https://vpce-0a1b-x.bedrock-runtime.us-east-1.vpce.amazonaws.com", (("region", "us-east-1"),), "us-east-1"),
        ("https://bedrock.proxy.example/aws", (("region", "ap-south-1"),), "ap-south-1"),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com", (("region", "us-west-2"),), "us-west-2"),
    ],
)
async def test_the_region_is_stated_or_in_the_address(
    base_url: str, options: tuple[tuple[str, str], ...], region: str
) -> None:
    """The settings say the region, else AWS's own address does."""
    signer = SIGNERS["sigv4"](host(base_url, options, access_key_id="AKID", secret_access_key="s", session_token="t"))
    headers = dict((await signer.sign(Outgoing("POST", "/", (), b""))).headers)
    assert f"/{region}/bedrock/aws4_request" in headers["authorization"]
    assert headers["x-amz-security-token"] == "t"
    assert re.fullmatch(r"\d{8}T\d{6}Z", headers["x-amz-date"])


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (host("https://proxy.example", access_key_id="A", secret_access_key="s"), "region"),
        (host("https://proxy.example", (("region", "x"),)), "access_key_id and secret_access_key"),
    ],
)
async def test_what_is_missing_is_told(broken: Host, named: str) -> None:
    """A host that lacks a part of its credentials is made, and says so when it is asked."""
    with pytest.raises(UpstreamAuth, match=named):
        await AwsSigner(broken).sign(Outgoing("POST", "/", (), b""))


def test_a_scope_does_not_print_its_secret() -> None:
    """Neither the secret nor the token is in the ``repr``."""
    text = repr(Scope("AKID", "canary-1", "us-east-1", session_token="canary-2"))
    assert "canary" not in text
