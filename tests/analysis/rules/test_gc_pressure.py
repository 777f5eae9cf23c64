"""gc_pressure: the collector's share, by its threads or by its frames."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.analysis.rules.gc_pressure import check
from diagnose.model.finding import Verdict
from diagnose.model.run import Run
from tests.analysis.working import profile, share_of
from tests.builders import (
    Process,
    Thread,
    evidence_of,
    make_launch,
    make_run,
    make_samples,
    one_thread,
)


def collecting(share: float, name: str = "GC Thread#0", runtime: str = "jvm", **more: Any) -> Run:
    """One core's worth of work, a share of it in a thread of that name."""
    threads = (Thread(1, 1 - share, name="HTTP-Dispatcher"), Thread(2, share, name=name))
    return make_run(
        samples=make_samples((Process(threads=threads),)),
        launch=make_launch(runtimes={4242: runtime}),
        **more,
    )


def profiled(share: float, runtime: str, frame: str = "runtime.gcBgMarkWorker", **more: Any) -> Run:
    stacks = share_of(frame, share, more.pop("rest", "srv;handle;work"))
    profiler = more.pop("profiler", "perf")
    return make_run(
        samples=make_samples(one_thread()),
        launch=make_launch(runtimes={4242: runtime}),
        profiles=[profile(stacks, profiler)],
        **more,
    )


LIMITS = [
    pytest.param(0.0, Verdict.CLEAR, id="none"),
    pytest.param(0.09, Verdict.CLEAR, id="just under the clear limit"),
    pytest.param(0.11, Verdict.UNKNOWN, id="just over the clear limit"),
    pytest.param(0.19, Verdict.UNKNOWN, id="just under the limit"),
    pytest.param(0.21, Verdict.FOUND, id="just over the limit"),
    pytest.param(0.5, Verdict.FOUND, id="half"),
]


@pytest.mark.parametrize(("share", "verdict"), LIMITS)
def test_threads_of_the_jvm_tell_without_a_profile(share: float, verdict: Verdict) -> None:
    answer = check(collecting(share))
    assert answer.verdict is verdict
    assert evidence_of(answer)["collector_threads"] == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize(("share", "verdict"), LIMITS)
def test_frames_tell_for_others(share: float, verdict: Verdict) -> None:
    answer = check(profiled(share, "go"))
    assert answer.verdict is verdict
    assert evidence_of(answer)["collector_frames"] == pytest.approx(share)


@pytest.mark.parametrize(("share", "verdict"), LIMITS)
def test_the_profile_of_v8_tells_of_its_collector(share: float, verdict: Verdict) -> None:
    run = profiled(share, "node", "(garbage collector)", profiler="inspector")
    assert check(run).verdict is verdict


def test_a_profile_of_v8_without_names_is_unknown() -> None:
    run = profiled(0.0, "node", profiler="inspector", rest="node;[program]")
    assert check(run).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("name", "runtime"),
    [
        ("G1 Conc#0", "jvm"),
        ("VM Thread", "jvm"),
        (".NET Server GC", "dotnet"),
        ("ZWorker#0", "jvm"),
    ],
)
def test_the_claim_names_the_threads(name: str, runtime: str) -> None:
    answer = check(collecting(0.4, name, runtime))
    assert answer.verdict is Verdict.FOUND
    assert name in answer.claim


def test_the_claim_names_the_frame() -> None:
    assert "runtime.gcBgMarkWorker" in check(profiled(0.4, "go")).claim


def test_other_busy_threads_do_not_collect() -> None:
    assert check(collecting(0.5, "C2 CompilerThre")).verdict is Verdict.CLEAR


@pytest.mark.parametrize("runtime", ["nginx", "rust"])
def test_without_a_collector_it_is_clear(runtime: str) -> None:
    run = make_run(samples=make_samples(one_thread()), launch=make_launch(runtimes={1: runtime}))
    assert check(run).verdict is Verdict.CLEAR


@pytest.mark.parametrize("runtime", ["cpython", "go", "node", "dotnet", "native", "unknown"])
def test_what_cannot_be_seen_is_unknown(runtime: str) -> None:
    run = make_run(samples=make_samples(one_thread()), launch=make_launch(runtimes={1: runtime}))
    assert check(run).verdict is Verdict.UNKNOWN


def test_py_spy_does_not_see_it() -> None:
    answer = check(profiled(0.0, "cpython", profiler="py_spy"))
    assert answer.verdict is Verdict.UNKNOWN
    assert "perf" in answer.claim


def test_a_profile_without_names_hides_it() -> None:
    answer = check(profiled(0.05, "go", rest="srv;[server]"))
    assert answer.verdict is Verdict.UNKNOWN
    assert check(profiled(0.05, "go")).verdict is Verdict.CLEAR


def test_an_idle_server_tells_nothing() -> None:
    run = make_run(samples=make_samples((Process(threads=(Thread(1, 0.05),)),)))
    assert check(run).verdict is Verdict.UNKNOWN
