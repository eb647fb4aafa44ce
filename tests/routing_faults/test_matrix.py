"""The upstream's share of the fault matrix, F01 to F41: for each line, the tests that hold it, alone and beside others.

A name that no test has, and a line without a test, fail here.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
WIRE = "gateway/test_upstream_faults.py"
PASSED_OVER = f"{WIRE}::test_a_target_that_fails_before_content_is_passed_over"
BROKEN_OFF = f"{WIRE}::test_a_stream_that_breaks_off_after_content_ends_with_an_error_event"
CANONICAL = f"{WIRE}::test_every_dialect_of_a_stream_comes_out_the_same"
SECOND = "routing_faults/test_fallback.py::test_only_the_second_answer_is_seen_and_charged_once"
JOINED = "routing_faults/test_midstream.py::test_the_join_is_byte_exact"
KEPT = "routing_faults/test_fallback.py::test_errors_of_the_request_itself_neither_fall_back_nor_spare"
RETRIES = "routing_faults/test_retries.py"

MATRIX: dict[str, tuple[str, ...]] = {
    "F01 connection refused": (
        *("upstream/test_dial.py::test_f01_connection_refused", f"{WIRE}::test_f01_a_closed_port_is_502_at_once"),
        *(SECOND, f"{RETRIES}::test_f01_connections_refused_open_the_hosts_circuit"),
    ),
    "F02 blackhole": ("upstream/test_dial.py::test_f02_blackhole", SECOND),
    "F03 DNS": (
        *("upstream/test_dial.py::test_f03_unknown_name", "upstream/test_dial.py::test_f03_hanging_resolver", SECOND),
    ),
    "F04 DNS that turns private": (
        "upstream/test_dial.py::test_only_the_resolvers_answer_is_dialled",
        f"{WIRE}::test_s21_s28_nothing_but_a_declared_host_is_ever_connected_to",
    ),
    "F05 TLS": (
        *("upstream/test_dial.py::test_f05_bad_certificate", "upstream/test_dial.py::test_f05_handshake_stall"),
        *("upstream/test_dial.py::test_f05_plaintext_on_the_tls_port", SECOND),
    ),
    "F06 close before a byte": (
        *("upstream/test_pool.py::test_f06_stale_connection_is_retried_once_and_unseen", SECOND),
        f"{WIRE}::test_f06_a_kept_connection_that_died_costs_the_client_nothing",
    ),
    "F07 reset in the head": ("upstream/test_pool.py::test_f07_lost_in_the_head_is_not_retried", SECOND),
    "F08 headers": ("upstream/test_connection.py::test_f08_head_over_64_kib_is_refused", PASSED_OVER, SECOND),
    "F09 interim answers": ("upstream/test_connection.py::test_f09_interim_flood_is_refused", PASSED_OVER, SECOND),
    "F10 redirect": ("upstream/test_reply.py::test_f10_redirect_is_not_followed", SECOND),
    "F11 html": (PASSED_OVER, SECOND),
    "F12 garbage": (PASSED_OVER, "routing_faults/test_storms.py::test_f35_one_request_in_ten_fails_at_both_routes"),
    "F13 bad text": (PASSED_OVER,),
    "F14 wrong length": (
        *("upstream/test_reply.py::test_f14_longer_length_is_an_interrupted_reply", SECOND),
        f"{WIRE}::test_f14_more_bytes_than_the_length_are_dropped_with_the_connection",
    ),
    "F15 compressed": ("upstream/test_reply.py::test_f15_compressed_reply_is_refused_unread", PASSED_OVER),
    "F16 too large": (f"{WIRE}::test_f16_an_answer_over_the_cap_is_cut",),
    "F17 late first token": (
        f"{WIRE}::test_f17_a_slow_first_token_is_covered_by_heartbeats_and_may_still_fall_back",
        "routing_faults/test_fallback.py::test_f17_heartbeats_are_no_answer",
        "routing_faults/test_hedging.py::test_the_second_wins_and_the_first_is_hung_up_on",
    ),
    "F18 stall": ("upstream/test_timeouts.py::test_f18_stalled_stream", BROKEN_OFF, JOINED),
    "F19 trickle": ("upstream/test_timeouts.py::test_f19_trickle_ends_with_the_total", SECOND),
    "F20 reset in mid-stream": (
        *(BROKEN_OFF, JOINED),
        "routing_faults/test_midstream.py::test_one_charge_a_note_and_both_attempts_on_record",
        f"{RETRIES}::test_a_host_whose_streams_break_off_is_left_too",
    ),
    "F21 end without a reason": (BROKEN_OFF, JOINED),
    "F22 reason without [DONE]": (CANONICAL,),
    "F23 no usage": (CANONICAL, "routing_faults/test_choices.py::test_usage_that_one_host_left_out_is_estimated"),
    "F24 usage twice": (CANONICAL,),
    "F25 usage that is no count": (f"{WIRE}::test_f25_usage_that_is_no_count_never_reaches_arithmetic",),
    "F26 usage over the bound": (
        f"{WIRE}::test_f26_f27_a_host_that_ignores_the_cap_is_passed_on_and_metered_as_it_says",
    ),
    "F27 cap ignored": (f"{WIRE}::test_f26_f27_a_host_that_ignores_the_cap_is_passed_on_and_metered_as_it_says",),
    "F28 an endless line": (f"{WIRE}::test_f28_an_event_over_the_cap_is_cut", BROKEN_OFF),
    "F29 framing": (CANONICAL, "dialects/test_sse.py::test_events_are_those_of_the_grammar"),
    "F30 an error event": (f"{WIRE}::test_f30_an_error_event_before_content_is_a_failed_attempt", SECOND),
    "F31 events after the end": (CANONICAL,),
    "F32 429": (
        "faults/test_answers.py::test_f32_a_hosts_429_is_passed_on_sanely_and_costs_nothing",
        f"{RETRIES}::test_f32_a_limited_target_is_spared_and_the_other_serves",
        f"{RETRIES}::test_f32_when_all_are_cooling_the_smallest_wait_is_told",
        f"{RETRIES}::test_a_cooldown_ends",
    ),
    "F33 another key": (
        "faults/test_answers.py::test_f33_a_429_and_then_an_answer_elsewhere_is_one_request_and_one_charge",
        f"{RETRIES}::test_f33_another_key_of_the_same_host_goes_before_another_host",
        "routing_faults/test_storms.py::test_f33_a_provider_that_limits_everybody_is_spared",
    ),
    "F34 a storm of 5xx": (
        f"{RETRIES}::test_f34_five_failures_open_the_circuit_and_the_first_route_is_asked_no_more",
        f"{RETRIES}::test_f34_half_open_lets_one_probe_through_at_a_time",
        f"{RETRIES}::test_f34_two_probes_that_succeed_close_the_circuit",
        f"{RETRIES}::test_f34_a_probe_that_fails_costs_its_client_nothing",
        f"{RETRIES}::test_retries_stop_where_their_budget_ends",
        "routing_faults/test_storms.py::test_f34_both_providers_are_down",
        "routing_faults/test_storms.py::test_g11_one_provider_dies_and_comes_back",
        "routing/test_storm.py::test_everything_is_down_for_a_minute",
    ),
    "F35 one in ten": (
        "routing_faults/test_storms.py::test_f35_one_request_in_ten_fails_at_both_routes",
        "routing_faults/test_storms.py::test_f35_the_same_where_hosts_also_fall_silent_and_break_off",
        "routing/test_storm.py::test_one_request_in_ten_fails",
    ),
    "F36 refused key": (
        *(SECOND, f"{RETRIES}::test_f36_a_refused_key_is_marked_and_not_its_host"),
        f"{RETRIES}::test_f36_with_every_key_refused_the_client_hears_502_and_nothing_of_the_key",
    ),
    "F37 context length": (
        *(KEPT, "routing_faults/test_fallback.py::test_f37_a_prompt_too_long_goes_to_a_longer_context_alone"),
    ),
    "F38 filtered": (KEPT, "routing_faults/test_fallback.py::test_f38_a_filtered_answer_is_an_answer"),
    "F39 all down": (
        f"{RETRIES}::test_f39_all_circuits_open_is_503_at_once",
        "routing_faults/test_fallback.py::test_f39_every_route_down_names_each_and_asks_no_sdk_to_retry",
    ),
    "F40 back-pressure": (
        "upstream/test_pressure.py::test_f40_reader_that_does_not_read",
        "gateway/test_disconnects.py::test_f40_f58_a_client_that_does_not_read_holds_the_upstream_back",
    ),
    "F41 HTTP/2, which is not spoken": ("upstream/test_connection.py::test_bad_reply_whole_and_byte_by_byte",),
}


@cache
def names(path: Path) -> frozenset[str]:
    """The tests of a file."""
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_line_of_the_matrix_is_here() -> None:
    """F01 to F41, in order, without a gap."""
    assert [line.split(" ", 1)[0] for line in MATRIX] == [f"F{number:02}" for number in range(1, 42)]


@pytest.mark.parametrize("line", MATRIX)
def test_every_line_has_its_tests(line: str) -> None:
    """Each test that is named for a line exists."""
    assert MATRIX[line]
    for test in MATRIX[line]:
        file, _, name = test.partition("::")
        assert name in names(TESTS / file), f"{line}: there is no {test}"
