"""A driver's report as a LoadResult: what it told, and what it did not."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.load.drivers import DriverOutputError, DriverReport, result, wrk
from diagnose.model.load import FailureExample, Latency, LoadResult
from diagnose.model.scenario import Answer, Expectation, Protocol, RequestTemplate, Scenario
from tests.load.drivers.captured import GET, POST, output, scenario

LATENCY = Latency(100, 0.01, 0.01, 0.02, 0.03, 0.04, 0.05)


def report(**changes: Any) -> DriverReport:
    """A hundred good responses in two seconds, everything told."""
    base: dict[str, Any] = {
        "responses": 100,
        "duration_s": 2.0,
        "status": {"2xx": 100},
        "latency": LATENCY,
        "bytes_received": 5000,
        "reconnects": 3,
        "latency_samples": 100,
        "histogram": {10000: 100},
    }
    return DriverReport(**{**base, **changes})


def told(given: DriverReport, wanted: Scenario | None = None, **changes: Any) -> LoadResult:
    """The result of a run of 2.5 s with the caveat `first`."""
    return result(given, wanted or scenario(), 4, 2.5, 1.25, 100.0, ("first",), "wrk", **changes)


def expecting(*status: int, answer: Answer = Answer.REQUIRED) -> RequestTemplate:
    """A GET that must be answered with one of these statuses."""
    return RequestTemplate("get", "GET", "/", expect=Expectation(status=status, answer=answer))


def test_what_was_told_is_in_the_result() -> None:
    load = told(report())
    assert (load.connections, load.responses, load.ok, load.rps) == (4, 100, 100, 50.0)
    assert load.status_classes == {"2xx": 100}
    assert (load.bytes_received, load.opens) == (5000, 3)
    assert load.latency == LATENCY
    assert load.histogram == {10000: 100}
    assert (load.generator, load.started, load.interrupted) == ("wrk", 100.0, False)


def test_the_process_is_one_external_worker() -> None:
    (worker,) = told(report()).workers
    assert worker.external
    assert (worker.wall_s, worker.cpu_s, worker.run_queue_s, worker.loops) == (2.5, 1.25, 0, 0)


def test_the_window_begins_after_the_warm_up() -> None:
    assert told(report(warmup_s=1.5)).started == 101.5


def test_an_interrupted_run_says_so() -> None:
    assert told(report(), interrupted=True).interrupted


def test_without_a_duration_it_is_that_of_the_process() -> None:
    assert told(report(duration_s=0.0)).duration_s == 2.5


def test_what_was_not_told_is_zero_and_named() -> None:
    load = told(report(bytes_received=None, reconnects=None))
    assert (load.bytes_sent, load.bytes_received, load.opens, load.established) == (0, 0, 0, 0)
    assert load.caveats[0] == "first"
    (missing,) = [caveat for caveat in load.caveats if "does not tell" in caveat]
    for name in ("bytes sent", "bytes received", "established", "opened again", "unanswered"):
        assert name in missing


def test_what_was_told_is_not_named() -> None:
    said = "; ".join(told(report()).caveats)
    assert "bytes received" not in said
    assert "opened again" not in said
    assert "latency" not in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"latency": Latency(), "latency_samples": None}, "no latency percentiles"),
        ({"histogram": {}}, "no latency histogram, only percentiles"),
        ({"latency": Latency(9, 1, 1, 1, 1, 1, 0)}, "does not tell the longest latency"),
        ({"latency": Latency(9, 1, 1, 1, 1, 0, 1)}, "does not tell the 99.9th percentile"),
        ({"caveats": ("from its log",)}, "from its log"),
        (
            {"responses": 0, "status": {}, "latency": Latency(), "latency_samples": 0},
            "got no response and tells no reason",
        ),
    ],
)
def test_gaps_of_the_latency_and_reasons_are_named(changes: dict[str, Any], said: str) -> None:
    assert said in "; ".join(told(report(**changes)).caveats)


def test_other_statuses_than_2xx_are_wrong() -> None:
    load = told(report(status={"2xx": 90, "3xx": 1, "4xx": 2, "5xx": 7}))
    assert (load.ok, load.responses, load.tolerated) == (90, 100, 0)
    assert load.failures == {"wrong_status": 10}
    (example,) = load.examples
    assert example.kind == "wrong_status"
    assert "7 responses with 5xx" in example.detail


@pytest.mark.parametrize("name", ["4xx", "4xx/5xx"])
def test_a_404_that_was_asked_for_is_tolerated(name: str) -> None:
    load = told(report(status={"2xx": 60, name: 40}), scenario(GET, expecting(404)))
    assert (load.ok, load.tolerated, load.failures) == (60, 40, {})
    assert "compared by class" in "; ".join(load.caveats)


def test_a_2xx_where_only_a_404_is_right_is_wrong() -> None:
    load = told(report(), scenario(expecting(404)))
    assert (load.ok, load.failures) == (0, {"wrong_status": 100})


def test_a_request_that_may_get_any_answer_excuses_all_but_refusals() -> None:
    given = report(
        status={"2xx": 60, "4xx": 40},
        errors={"closed_before_response": 5, "connect_error": 2},
        examples=(FailureExample("closed_before_response", "", "x"),),
    )
    load = told(given, scenario(GET, expecting(answer=Answer.ANY)))
    assert (load.ok, load.tolerated, load.failures) == (60, 45, {"connect_error": 2})
    assert load.examples == ()
    assert "5 connections ended or timed out" in "; ".join(load.caveats)


def test_errors_are_failures() -> None:
    load = told(report(errors={"timeout": 4}, status={"2xx": 99, "5xx": 1}))
    assert load.failures == {"timeout": 4, "wrong_status": 1}
    assert load.templates[0].failures == 5


def test_one_template_has_a_result_of_its_own_and_several_have_none() -> None:
    (only,) = told(report()).templates
    assert (only.name, only.responses, only.failures, only.latency) == ("get", 100, 0, LATENCY)
    assert told(report(), scenario(GET, POST)).templates == ()


def test_request_bodies_are_counted_where_all_are_of_one_length() -> None:
    assert told(report(), scenario(POST)).body_answered == 200
    load = told(report(), scenario(GET, POST))
    assert load.body_answered == 0
    assert "request body bytes" in "; ".join(load.caveats)


def test_the_rate_of_an_open_loop_is_kept() -> None:
    assert told(report(), scenario(rate=50.0)).rate == 50.0


@pytest.mark.parametrize(
    ("wanted", "spoken", "right"),
    [
        (Protocol.HTTP, "http/1.1", True),
        (Protocol.HTTP, "", True),
        (Protocol.H2, "h2", True),
        (Protocol.H2, "h2c", True),
        (Protocol.H2, "", True),
        (Protocol.H2, "http/1.1", False),
        (Protocol.HTTP, "h2", False),
    ],
)
def test_another_protocol_than_that_of_the_scenario_is_an_error(
    wanted: Protocol, spoken: str, right: bool
) -> None:
    given, asked = report(protocol=spoken), scenario(protocol=wanted)
    if right:
        assert told(given, asked).ok == 100
    else:
        with pytest.raises(DriverOutputError, match=f"spoke {spoken}"):
            told(given, asked)


def test_a_captured_text_makes_a_result() -> None:
    load = told(wrk.parse(output("wrk_dropped.txt")))
    assert (load.responses, load.ok, load.failed) == (0, 0, 40869)
    assert load.rps == 0
