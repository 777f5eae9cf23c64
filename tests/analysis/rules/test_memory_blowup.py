"""memory_blowup: the guard, the bodies, the growth that goes on."""

from __future__ import annotations

import pytest

from diagnose.analysis.engine import analyze
from diagnose.analysis.rules.memory_blowup import check
from diagnose.model.finding import Verdict
from diagnose.model.run import MemoryGuard
from tests.builders import (
    COOLDOWN,
    DRAIN,
    GIB,
    MIB,
    WARMUP,
    WINDOW,
    Curve,
    Process,
    Thread,
    empty_run,
    evidence_of,
    make_host,
    make_launch,
    make_load,
    make_run,
    make_samples,
    ramp,
    under_load,
    upload_run,
)

TRIPPED = MemoryGuard(4 * GIB, True, 5 * GIB, WINDOW + 1)


class TestGuard:
    """The guard had to stop the server: a fact, whatever was sampled."""

    def test_found_with_what_was_held_at_the_stop(self) -> None:
        answer = check(upload_run(growth=5 * GIB, guard=TRIPPED))
        assert answer.verdict is Verdict.FOUND
        assert "stopped at 5.0 GiB, over the limit of 4.0 GiB" in answer.claim
        assert evidence_of(answer)["at_stop"] == 5 * GIB
        assert evidence_of(answer)["growth"] == 5 * GIB
        assert answer.explains == 1.0

    def test_found_without_samples(self) -> None:
        answer = check(empty_run(guard=TRIPPED))
        assert answer.verdict is Verdict.FOUND
        assert evidence_of(answer) == {"at_stop": 5 * GIB}

    def test_found_although_samples_were_missed(self) -> None:
        """The sampler falls behind exactly when memory runs out."""
        run = make_run(samples=make_samples(rate_hz=5.0), guard=TRIPPED)
        answers = {answer.id: answer for answer in analyze(run)}
        assert answers["samples_missed"].verdict is Verdict.FOUND
        assert answers["memory_blowup"].verdict is Verdict.FOUND


@pytest.mark.parametrize(
    ("growth", "in_flight", "verdict"),
    [
        pytest.param(0, 800 * MIB, Verdict.CLEAR, id="flat"),
        pytest.param(255 * MIB, 300 * MIB, Verdict.CLEAR, id="just under 256 MiB"),
        pytest.param(257 * MIB, 300 * MIB, Verdict.FOUND, id="just over 256 MiB"),
        pytest.param(481 * MIB, 800 * MIB, Verdict.FOUND, id="just over 60 % of the bodies"),
        pytest.param(479 * MIB, 800 * MIB, Verdict.UNKNOWN, id="just under 60 % of the bodies"),
        pytest.param(8 * GIB, 5 * GIB, Verdict.FOUND, id="more than the bodies"),
    ],
)
def test_growth_with_the_bodies_in_the_server(
    growth: int, in_flight: int, verdict: Verdict
) -> None:
    answer = check(upload_run(growth=growth, in_flight=in_flight))
    assert answer.verdict is verdict
    assert evidence_of(answer)["growth"] == growth
    assert evidence_of(answer)["bodies_in_server"] == in_flight
    if verdict is Verdict.FOUND:
        assert "request bodies that it held" in answer.claim
        # The host has 16 GiB.
        assert answer.explains == pytest.approx(growth / (16 * GIB) + 0.1)


@pytest.mark.parametrize(
    ("curve", "verdict"),
    [
        pytest.param(ramp((WARMUP, 0), (DRAIN, 2 * GIB)), Verdict.FOUND, id="grows to the end"),
        pytest.param(
            ramp((WARMUP, 0), (DRAIN, GIB - MIB)), Verdict.UNKNOWN, id="grows, under a gigabyte"
        ),
        pytest.param(
            ramp((WARMUP, 0), (DRAIN, GIB + MIB)), Verdict.FOUND, id="grows, over a gigabyte"
        ),
        pytest.param(under_load(0, 4 * GIB), Verdict.UNKNOWN, id="a heap that fills and stays"),
        pytest.param(under_load(3 * GIB, 3 * GIB), Verdict.CLEAR, id="large from the start"),
        pytest.param(ramp((WARMUP, 4 * GIB), (DRAIN, GIB)), Verdict.CLEAR, id="shrinks"),
    ],
)
def test_growth_without_bodies(curve: Curve, verdict: Verdict) -> None:
    process = Process(threads=(Thread(4242, 0.9),), anonymous=curve)
    answer = check(make_run(samples=make_samples((process,))))
    assert answer.verdict is verdict


@pytest.mark.parametrize(
    ("doubling_s", "verdict"),
    [
        # 3.5 s of it are over, and have grown already.
        pytest.param(56.0, Verdict.FOUND, id="would double within a minute"),
        pytest.param(57.0, Verdict.UNKNOWN, id="would take longer"),
    ],
)
def test_the_slope_at_the_end_decides(doubling_s: float, verdict: Verdict) -> None:
    """4 GiB by the middle of the window, then on at a slower pace to the end of the drain."""
    middle, late_s = WINDOW + 2, COOLDOWN - (WINDOW + 2)
    late = 4 * GIB * late_s / doubling_s
    curve = ramp((WARMUP, 0), (middle, 4 * GIB), (COOLDOWN, 4 * GIB + late))
    process = Process(threads=(Thread(4242, 0.9),), anonymous=curve)
    answer = check(make_run(samples=make_samples((process,))))
    assert answer.verdict is verdict
    assert ("still growing" in answer.claim) == (verdict is Verdict.FOUND)


def test_file_pages_are_not_the_servers_memory() -> None:
    process = Process(threads=(Thread(4242, 0.9),), file=under_load(0, 8 * GIB))
    answer = check(make_run(samples=make_samples((process,))))
    assert answer.verdict is Verdict.CLEAR
    assert evidence_of(answer)["growth"] == 0


def test_shared_memory_is() -> None:
    process = Process(threads=(Thread(4242, 0.9),), shared=ramp((WARMUP, 0), (DRAIN, 2 * GIB)))
    assert check(make_run(samples=make_samples((process,)))).verdict is Verdict.FOUND


@pytest.mark.parametrize(
    "start",
    [pytest.param(WARMUP, id="not before the load"), pytest.param(1e9, id="not at all")],
)
def test_unknown_without_samples(start: float) -> None:
    answer = check(make_run(samples=make_samples(start=start)))
    assert answer.verdict is Verdict.UNKNOWN
    assert "not sampled" in answer.claim


def test_the_threads_upload_of_256_connections() -> None:
    """4.0 -> 11.9 GiB with 0 responses at 256 x 20 MiB."""
    run = upload_run(
        connections=256,
        baseline=4.0 * GIB,
        growth=7.9 * GIB,
        in_flight=256 * 20 * MIB,
        host=make_host(64, mode="shared"),
        load=make_load(
            connections=256, established=256, responses=0, ok=0, status_classes={},
            unanswered=256, unanswered_stalled_s=1.0,
        ),
    )  # fmt: skip
    answers = {answer.id: answer for answer in analyze(run)}
    assert answers["memory_blowup"].verdict is Verdict.FOUND
    assert "7.9 GiB to 11.9 GiB under 256 connections" in answers["memory_blowup"].claim
    assert answers["body_buffered"].verdict is Verdict.FOUND
    assert evidence_of(answers["body_buffered"])["growth_per_body_byte"] == pytest.approx(1.58)


@pytest.mark.parametrize("runtime", ["jvm", "dotnet"])
class TestHeapsThatKeepGarbage:
    """A heap with room grows by what was allocated, not by what is alive."""

    def test_growth_to_a_size_is_unknown(self, runtime: str) -> None:
        launch = make_launch(runtimes={1: runtime})
        answer = check(upload_run(in_flight=800 * MIB, growth=2 * GIB, launch=launch))
        assert answer.verdict is Verdict.UNKNOWN
        assert f"the heap of {runtime} keeps garbage" in answer.claim
        assert evidence_of(answer)["runtime"] == runtime

    def test_growth_without_end_is_found(self, runtime: str) -> None:
        process = Process(threads=(Thread(1, 0.9),), anonymous=ramp((WARMUP, 0), (DRAIN, 4 * GIB)))
        launch = make_launch(runtimes={1: runtime})
        answer = check(make_run(samples=make_samples((process,)), launch=launch))
        assert answer.verdict is Verdict.FOUND
        assert "still growing" in answer.claim

    def test_bodies_are_not_blamed_for_it(self, runtime: str) -> None:
        answer = check(
            upload_run(
                memory_curve=ramp((WARMUP, 0), (DRAIN, 4 * GIB)),
                launch=make_launch(runtimes={1: runtime}),
            )
        )
        assert answer.verdict is Verdict.FOUND
        assert "still growing" in answer.claim

    def test_little_growth_is_clear(self, runtime: str) -> None:
        launch = make_launch(runtimes={1: runtime})
        assert check(upload_run(growth=200 * MIB, launch=launch)).verdict is Verdict.CLEAR


def test_a_server_that_was_not_sampled_is_not_cleared() -> None:
    process = Process(threads=(Thread(1, 0.0, name="docker"),))
    answer = check(make_run(samples=make_samples((process,))))
    assert answer.verdict is Verdict.UNKNOWN
    assert "not among them" in answer.claim


@pytest.mark.parametrize(
    ("in_flight", "verdict"),
    [
        pytest.param(4 * MIB, Verdict.UNKNOWN, id="eighty times the bodies"),
        pytest.param(79 * MIB, Verdict.UNKNOWN, id="just over four times"),
        pytest.param(81 * MIB, Verdict.FOUND, id="just under four times"),
    ],
)
def test_a_heap_far_larger_than_the_bodies_is_not_explained_by_them(
    in_flight: int, verdict: Verdict
) -> None:
    assert check(upload_run(in_flight=in_flight, growth=320 * MIB)).verdict is verdict
