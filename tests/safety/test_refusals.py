"""What a client reads of a prompt that was not let through."""

from tollhouse.errors import ContentPolicyViolation, SafetyUnavailable

RESULTS = {"hate": {"filtered": True, "severity": "high"}}


def test_a_blocked_prompt_is_azures_400() -> None:
    """Status, code and param are Azure's, and the results stand under both names that it uses."""
    fault = ContentPolicyViolation(["hate", "jailbreak"], RESULTS)
    error = fault.body("req_1")["error"]
    assert (fault.status, error["type"], error["code"], error["param"]) == (
        *(400, "invalid_request_error"),
        *("content_filter", "prompt"),
    )
    assert error["error_id"] == "CONTENT_POLICY_VIOLATION"
    assert error["innererror"] == {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": RESULTS,
        "content_filter_results": RESULTS,
    }
    assert "hate, jailbreak" in error["message"]


def test_a_prompt_that_could_not_be_judged_is_no_blocked_one() -> None:
    """It is a 503 to be sent again, which names the judges that did not answer and says nothing of the prompt."""
    fault = SafetyUnavailable(["guard", "own"], wait_s=7)
    error = fault.body("req_1")["error"]
    assert (fault.status, fault.headers["retry-after"]) == (503, "7")
    assert (error["code"], error["error_id"]) == ("safety_unavailable", "SAFETY_UNAVAILABLE")
    assert "guard, own" in error["message"]
    assert "innererror" not in error
