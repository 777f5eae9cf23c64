"""quadratic_body: how the time of an upload follows its length."""

from __future__ import annotations

import pytest

from diagnose.analysis.rules.quadratic_body import check
from diagnose.model.finding import Verdict
from diagnose.model.run import ProbeCheck, Run
from tests.builders import MIB, UPLOAD, UPLOADS, evidence_of, make_run, make_scenario


def timed(*times: float, outcome: str = "pass") -> Run:
    """Uploads of 1.25, 5 and 20 MiB, and 40 where a fourth is given, that took so long."""
    probe = ProbeCheck("sizes", UPLOAD.name, outcome, "", times_s=times)
    return make_run(scenario=UPLOADS, probes=(probe,))


def by_power(power: float, longest: float = 0.4, fixed: float = 0.0) -> Run:
    steps = (1 / 16, 1 / 4, 1, 2)
    return timed(*(fixed + longest * step**power for step in steps))


def test_a_heap_that_grows_is_not_quadratic() -> None:
    """Go's io.ReadAll: memory that it has costs nothing, new pages do, once."""
    assert check(timed(0.0014, 0.0036, 0.0508, 0.1016)).verdict is Verdict.CLEAR
    answer = check(timed(0.0014, 0.0036, 0.0508))
    assert answer.verdict is Verdict.UNKNOWN
    assert "twice the length was not answered" in answer.claim


@pytest.mark.parametrize(
    ("times", "verdict"),
    [
        # Measured: a server that copies each body once, and one that copies all with each piece.
        pytest.param((0.001, 0.0029, 0.0237, 0.0724), Verdict.UNKNOWN, id="copied once"),
        pytest.param((0.0031, 0.0071, 0.1536, 3.0759), Verdict.FOUND, id="copied each time"),
    ],
)
def test_the_last_step_and_all_lengths_have_to_agree(
    times: tuple[float, ...], verdict: Verdict
) -> None:
    assert check(timed(*times)).verdict is verdict


@pytest.mark.parametrize(
    ("power", "verdict"),
    [
        pytest.param(0.1, Verdict.CLEAR, id="a fixed part decides"),
        pytest.param(1.0, Verdict.CLEAR, id="linear"),
        pytest.param(1.29, Verdict.CLEAR, id="just under the clear limit"),
        pytest.param(1.31, Verdict.UNKNOWN, id="just over the clear limit"),
        pytest.param(1.49, Verdict.UNKNOWN, id="just under the limit"),
        pytest.param(1.51, Verdict.FOUND, id="just over the limit"),
        pytest.param(2.0, Verdict.FOUND, id="quadratic"),
    ],
)
def test_the_power_decides(power: float, verdict: Verdict) -> None:
    answer = check(by_power(power))
    assert answer.verdict is verdict
    assert evidence_of(answer)["power_of_length"] == pytest.approx(power, abs=0.001)


def test_a_fixed_part_does_not_hide_it() -> None:
    assert check(by_power(2.0, longest=1.0, fixed=0.005)).verdict is Verdict.FOUND


@pytest.mark.parametrize(
    ("longest", "verdict"), [(0.0124, Verdict.UNKNOWN), (0.0126, Verdict.FOUND)]
)
def test_too_short_to_tell(longest: float, verdict: Verdict) -> None:
    assert check(by_power(2.0, longest=longest)).verdict is verdict


def test_short_and_linear_is_clear() -> None:
    assert check(by_power(1.0, longest=0.004)).verdict is Verdict.CLEAR


def test_the_claim_tells_both_lengths() -> None:
    claim = check(timed(0.01, 0.1, 1.6)).claim
    assert "20.0 MiB took 1.60 s, 5.0 MiB 100.00 ms" in claim
    assert "16.0 times as long for 4 times the bytes" in claim


def test_two_lengths_are_enough_and_the_longest_may_be_missing() -> None:
    assert check(timed(0.2, 3.4)).verdict is Verdict.FOUND


@pytest.mark.parametrize("times", [(), (0.2,)])
def test_one_length_is_not(times: tuple[float, ...]) -> None:
    answer = check(timed(*times, outcome="differs"))
    assert answer.verdict is Verdict.UNKNOWN
    assert "answered right" in answer.claim


def test_unknown_without_large_bodies() -> None:
    template = type(UPLOAD)("post", "POST", "/upload", body_length=MIB - 1)
    answer = check(make_run(scenario=make_scenario(templates=(template,))))
    assert answer.verdict is Verdict.UNKNOWN
    assert "no large bodies" in answer.claim
