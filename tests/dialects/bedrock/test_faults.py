"""Each of Bedrock's errors is the fault that it means."""

import json

import pytest

from tollhouse.dialects.bedrock.faults import fault_of_answer
from tollhouse.errors import (
    UpstreamAuth,
    UpstreamBadResponse,
    UpstreamFault,
    UpstreamModelMissing,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)

NAMED: list[tuple[int, str, type[UpstreamFault]]] = [
    (429, "ThrottlingException", UpstreamRateLimited),
    (429, "ThrottlingException:http://internal.amazon.com/coral/com.amazon.coral.availability/", UpstreamRateLimited),
    (429, "ModelNotReadyException", UpstreamUnavailable),
    (400, "ServiceQuotaExceededException", UpstreamQuota),
    (503, "ServiceUnavailableException", UpstreamUnavailable),
    (500, "InternalServerException", UpstreamBadResponse),
    (424, "ModelErrorException", UpstreamBadResponse),
    (408, "ModelTimeoutException", UpstreamTimeout),
    (404, "ResourceNotFoundException", UpstreamModelMissing),
    (403, "AccessDeniedException", UpstreamAuth),
    (403, "ExpiredTokenException", UpstreamAuth),
    (403, "UnrecognizedClientException:http://internal.amazon.com/#x", UpstreamAuth),
    (403, "InvalidSignatureException", UpstreamAuth),
    (403, "MissingAuthenticationTokenException", UpstreamAuth),
    (400, "ValidationException", UpstreamRejected),
    (413, "", UpstreamRejected),
    (429, "SomethingNewException", UpstreamRateLimited),
    (403, "", UpstreamAuth),
    (502, "", UpstreamBadResponse),
]


@pytest.mark.parametrize(("status", "name", "kind"), NAMED)
def test_a_name_in_the_header_says_whose_fault_it_is(status: int, name: str, kind: type[UpstreamFault]) -> None:
    """The header's word counts, up to a colon; without one that is known, the status does."""
    fault = fault_of_answer(status, {"x-amzn-errortype": name}, b'{"message":"why"}')
    assert type(fault) is kind


@pytest.mark.parametrize(("status", "name", "kind"), NAMED[:13])
def test_a_name_in_the_body_counts_too(status: int, name: str, kind: type[UpstreamFault]) -> None:
    """Proxies lose the header; the body names the type after a hash."""
    body = json.dumps({"__type": f"com.amazon.coral.service#{name.partition(':')[0]}", "Message": "why"})
    assert type(fault_of_answer(status, {}, body.encode())) is kind


@pytest.mark.parametrize(
    "message",
    [
        "The provided model identifier is invalid.",
        "Invocation of model ID anthropic.claude-3 with on-demand throughput isn\u2019t supported. Retry your request",
        "The provided model doesn't support on-demand throughput.",
        "This action doesn't support the model that you provided. Try again with a supported text or chat model.",
        "You don't have access to the model with the specified model ID.",
    ],
)
@pytest.mark.parametrize("name", ["ValidationException", "AccessDeniedException", ""])
def test_a_model_that_is_not_there_is_known_by_its_words(name: str, message: str) -> None:
    """Validation and permission errors about the model send the request to the next target, without AWS's words."""
    fault = fault_of_answer(400, {"x-amzn-errortype": name}, json.dumps({"message": message}).encode())
    assert isinstance(fault, UpstreamModelMissing)
    assert fault.retryable
    assert message not in fault.message


@pytest.mark.parametrize(
    "message",
    [
        "Input is too long for requested model.",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "The model returned the following errors: input length and max_tokens exceed context limit: 1 + 2 > 3",
    ],
)
def test_a_prompt_that_is_too_long_has_its_code(message: str) -> None:
    """Every wording of the context's limit has OpenAI's code."""
    body = json.dumps({"message": message}).encode()
    fault = fault_of_answer(400, {"x-amzn-errortype": "ValidationException"}, body)
    assert (fault.code, fault.param, fault.retryable) == ("context_length_exceeded", "messages", False)


def test_a_wait_is_passed_on() -> None:
    """A rate limit that says how long to wait says so to the client."""
    headers = {"x-amzn-errortype": "ThrottlingException", "retry-after": "3"}
    assert fault_of_answer(429, headers, b"{}").headers == {"retry-after": "3"}


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"message":7,"__type":[]}', b"[" * 100_000])
def test_no_body_raises(body: bytes) -> None:
    """Whatever a host sends with an error, there is a fault."""
    for status in (300, 400, 404, 418, 500, 599):
        assert isinstance(fault_of_answer(status, {}, body), UpstreamFault)
