"""profiler_disturbs: throughput with a profiler against throughput without one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from diagnose.analysis.engine import analyze
from diagnose.analysis.rules.profiler_disturbs import check
from diagnose.model.finding import Verdict
from diagnose.model.load import LoadTick
from diagnose.model.run import Run
from tests.builders import (
    COOLDOWN,
    DRAIN,
    WINDOW,
    evidence_of,
    make_load,
    make_phases,
    make_profile,
    make_run,
    make_samples,
    make_ticks,
    one_thread,
)

MEASURED = 1000.0
NOTE = make_profile().note


def profiled_run(ratio: float, **changes: Any) -> Run:
    """1000 right responses a second, and this share of them under the profiler."""
    settings = {
        "profiled_rps": MEASURED * ratio,
        "profiles": (),
        "phases": make_phases(profiled=True),
        **changes,
    }
    notes = settings.pop("notes_of_profiles", (NOTE,))
    run = make_run(**settings)
    return replace(run, manifest=replace(run.manifest, profiles=notes))


def uneven(deviation: float) -> tuple[LoadTick, ...]:
    """Ticks whose rate is this share above and below its mean, second by second."""

    def responses(t: float) -> int:
        whole, part = divmod(t - WINDOW, 1.0)
        signs = [1, -1] * 6
        before = sum(MEASURED * (1 + deviation * sign) for sign in signs[: int(whole)])
        return int(1e6 + before + part * MEASURED * (1 + deviation * signs[int(whole)]))

    return tuple(
        msgspec.structs.replace(tick, responses=responses(tick.t)) if tick.t >= WINDOW else tick
        for tick in make_ticks()
    )


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        pytest.param(1.2, Verdict.CLEAR, id="faster"),
        pytest.param(1.0, Verdict.CLEAR, id="the same"),
        pytest.param(0.86, Verdict.CLEAR, id="a little slower"),
        pytest.param(0.84, Verdict.UNKNOWN, id="as two equal runs may differ"),
        pytest.param(0.66, Verdict.UNKNOWN, id="just above the limit"),
        pytest.param(0.64, Verdict.FOUND, id="just below the limit"),
        pytest.param(0.0, Verdict.FOUND, id="it stood still"),
    ],
)
def test_the_ratio_decides(ratio: float, verdict: Verdict) -> None:
    answer = check(profiled_run(ratio))
    assert answer.verdict is verdict, answer.claim
    figures = evidence_of(answer)
    assert figures["slowed_share"] == pytest.approx(max(0.0, 1 - ratio))
    assert figures["measured_rate"] == MEASURED
    assert figures["profiled_rate"] == MEASURED * ratio


def test_the_claim_says_what_it_affects() -> None:
    answer = check(profiled_run(0.5))
    assert "under py_spy was 0.50" in answer.claim
    assert "the figures stay valid" in answer.claim
    assert "--profile perf" in answer.next_step


def test_no_other_finding_is_held_back() -> None:
    samples = make_samples(one_thread(), host_busy=(1.0, 0.1, 0.16, 0.16))
    answers = {answer.id: answer for answer in analyze(profiled_run(0.5, samples=samples))}
    assert answers["profiler_disturbs"].verdict is Verdict.FOUND
    assert answers["single_threaded"].verdict is Verdict.FOUND


@pytest.mark.parametrize(
    ("deviation", "verdict"),
    [
        pytest.param(0.0, Verdict.FOUND, id="even"),
        pytest.param(0.05, Verdict.FOUND, id="5 % up and down"),
        pytest.param(0.15, Verdict.UNKNOWN, id="15 % up and down"),
    ],
)
def test_a_rate_that_varies_by_itself(deviation: float, verdict: Verdict) -> None:
    """Five seconds, a deviation of d up and down each: 1.1 d, times the root of two, times 3."""
    answer = check(profiled_run(0.6, ticks=uneven(deviation)))
    assert answer.verdict is verdict, answer.claim
    noise = evidence_of(answer)["rate_noise"]
    assert noise == pytest.approx(deviation * 1.1 * 2**0.5, abs=0.02)


def test_the_profiled_ticks_are_no_noise() -> None:
    after = tuple(
        msgspec.structs.replace(tick, t=tick.t + COOLDOWN - WINDOW, responses=n)
        for n, tick in enumerate(make_ticks(start=WINDOW, end=DRAIN))
    )
    answer = check(profiled_run(0.5, ticks=(*make_ticks(), *after)))
    assert answer.verdict is Verdict.FOUND
    assert evidence_of(answer)["rate_noise"] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"load": None}, "no result", id="no result"),
        pytest.param({"load": make_load(ok=0)}, "no result", id="nothing right"),
        pytest.param({"load": make_load(duration_s=0.49)}, "no result", id="too short"),
        pytest.param({"profiled_rps": None}, "no profile", id="no profiled window"),
        pytest.param({"notes_of_profiles": ()}, "no profile", id="no profiler"),
        pytest.param(
            {"notes_of_profiles": (replace(NOTE, file="", remedy="may not"),)},
            "no profile",
            id="the profiler gave nothing",
        ),
        pytest.param({"load": make_load(ok=99)}, "too few", id="99 responses"),
        pytest.param({"ticks": ()}, "too short", id="no ticks"),
        pytest.param({"ticks": make_ticks(end=WINDOW + 2.9)}, "too short", id="two pieces"),
        pytest.param({"ticks": make_ticks(rps=0)}, "too short", id="ticks without responses"),
    ],
)
def test_unknown_without_the_figures(changes: dict[str, Any], why: str) -> None:
    answer = check(profiled_run(0.1, **changes))
    assert answer.verdict is Verdict.UNKNOWN
    assert why in answer.claim


def test_a_hundred_responses_and_three_seconds_are_enough() -> None:
    run = profiled_run(0.0, load=make_load(ok=100), ticks=make_ticks(end=WINDOW + 3.05))
    assert check(run).verdict is Verdict.FOUND
