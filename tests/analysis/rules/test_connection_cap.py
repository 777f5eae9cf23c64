"""connection_cap: which connections were served at all."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from diagnose.analysis.rules.connection_cap import LATER, MIN_RESPONSES, MIN_SILENT, check
from diagnose.model.finding import Verdict
from diagnose.model.load import LoadResult, Spread
from diagnose.model.run import Run
from tests.builders import (
    SERVER_PID,
    ended,
    evidence_of,
    make_launch,
    make_load,
    make_run,
    make_samples,
    make_scenario,
    one_thread,
)


def load(silent: int = 78, later: float = 1.0, p10: int = 300, **changes: Any) -> LoadResult:
    """128 connections, of which some get nothing."""
    spread = Spread(128 - silent, p10 - 1, p10, p10 + 10, p10 + 20, p10 + 30)
    values: dict[str, Any] = {
        "connections": 128,
        "connection_responses": spread,
        "silent_connections": silent,
        "silent_late_share": later if silent else -1.0,
    }
    return make_load(**{**values, **changes})


def run_of(result: LoadResult | None, **changes: Any) -> Run:
    return make_run(load=result, **{"connections": 128, **changes})


def test_the_first_ones_are_served_and_no_more() -> None:
    answer = check(run_of(load()))
    assert answer.verdict is Verdict.FOUND
    assert "50 of 128 connections were served, 310 responses each (median)" in answer.claim
    assert "the other 78, opened later" in answer.claim
    assert evidence_of(answer)["served_connections"] == 50
    assert answer.explains == pytest.approx(78 / 128)


def test_the_limits_of_found() -> None:
    edge = check(run_of(load(MIN_SILENT, LATER, MIN_RESPONSES)))
    assert edge.verdict is Verdict.FOUND


@pytest.mark.parametrize(
    ("result", "said"),
    [
        pytest.param(load(MIN_SILENT - 1), "too few to tell", id="two"),
        pytest.param(load(p10=MIN_RESPONSES - 1), "longer window", id="few responses"),
        pytest.param(load(connection_responses=None), "longer window", id="none stood"),
        pytest.param(load(later=LATER - 0.01), "half and with twice", id="at any time"),
        pytest.param(load(responses=0), "no connection got a response", id="nothing answered"),
        pytest.param(load(interrupted=True), "ended before", id="interrupted"),
        pytest.param(load(silent_connections=-1), "does not tell", id="not counted"),
        pytest.param(
            load(silent_connections=-1, generator="wrk"), "wrk does not tell", id="a driver"
        ),
        pytest.param(None, "gave no result", id="no load"),
    ],
)
def test_unknown(result: LoadResult | None, said: str) -> None:
    answer = check(run_of(result))
    assert answer.verdict is Verdict.UNKNOWN
    assert said in answer.claim


def test_a_rate_may_not_need_all_connections() -> None:
    answer = check(run_of(load(), scenario=make_scenario(rate=100.0)))
    assert answer.verdict is Verdict.UNKNOWN


def test_a_server_that_ended_left_them_alone() -> None:
    assert check(run_of(load(), end=ended(1))).verdict is Verdict.UNKNOWN


def test_all_served() -> None:
    answer = check(run_of(load(0)))
    assert answer.verdict is Verdict.CLEAR
    assert "silent_opened_later" not in evidence_of(answer)


def test_a_limit_of_descriptors_is_another_finding() -> None:
    samples = [
        replace(sample, processes=tuple(replace(p, descriptors=64) for p in sample.processes))
        for sample in make_samples(one_thread())
    ]
    launch = make_launch(descriptor_limits={SERVER_PID: 64})
    answer = check(run_of(load(), samples=samples, launch=launch))
    assert answer.verdict is Verdict.CLEAR
    assert "fd_exhausted" in answer.claim


@pytest.mark.parametrize(
    "line",
    [
        "2026/04/01 [alert] 7#7: 512 worker_connections are not enough",
        "[mpm_event:error] AH00484: server reached MaxRequestWorkers setting, consider raising",
        "WARNING: [pool www] server reached pm.max_children setting (5), consider raising it",
        "[note] sockets disabled, connection limit reached",
        "total open connections reached the connection limit, no longer accepting new connections",
    ],
)
def test_the_server_says_so_itself(line: str) -> None:
    log = ended(None, "", "up", line)
    answer = check(run_of(load(0, failures={"closed_before_response": 3}), end=log))
    assert answer.verdict is Verdict.FOUND
    assert line in answer.claim
    # Where nothing was missing it is of no account.
    assert check(run_of(load(0), end=log)).verdict is Verdict.CLEAR


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        pytest.param({"server_closes": 1500}, Verdict.UNKNOWN, id="nginx at its limit"),
        pytest.param({"server_closes": 75}, Verdict.CLEAR, id="seldom"),
        pytest.param({"server_closes": 4500}, Verdict.CLEAR, id="nearly each response"),
        pytest.param({"server_closes": 19, "responses": 100}, Verdict.CLEAR, id="a few"),
        pytest.param(
            {"server_closes": 1500, "close_announced": 1490}, Verdict.CLEAR, id="announced"
        ),
        pytest.param(
            {"server_closes": 1500, "closes_after": {10: 1200, 3: 300}},
            Verdict.CLEAR,
            id="always after the same number",
        ),
    ],
)
def test_connections_that_make_room_for_others(changes: dict[str, Any], verdict: Verdict) -> None:
    values = {"closes_after": {number: 100 for number in range(1, 16)}, **changes}
    assert check(run_of(load(0, **values))).verdict is verdict
