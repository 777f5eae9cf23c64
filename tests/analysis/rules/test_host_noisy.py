"""host_noisy: busy cores that neither server, load nor sampler account for, and stolen ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from diagnose.analysis.rules.host_noisy import check
from diagnose.model.finding import Verdict
from diagnose.model.load import LoadTick
from diagnose.model.run import Run
from diagnose.model.samples import Sample
from tests.builders import (
    WINDOW,
    WINDOW_S,
    Process,
    evidence_of,
    make_host,
    make_load,
    make_run,
    make_samples,
    make_ticks,
    make_worker,
    times,
    two_workers,
)

# Two processes of 0.95 cores, one load worker of 0.3, a sampler of 0.01.
KNOWN = 1.9 + 0.3 + 0.01


def noisy_run(foreign: float, *, steal: float = 0.0, **changes: Any) -> Run:
    """A healthy run on four cores beside programs that use so many of them."""
    samples = make_samples(host_busy=((KNOWN + foreign) / 4,) * 4, steal=steal)
    return make_run(**{"samples": samples, **changes})


def with_bursts(samples: tuple[Sample, ...], cores: Callable[[float], float]) -> list[Sample]:
    """The samples on a host where other programs use `cores(t)` cores, 0.05 s after 0.05 s."""
    extra, rows = 0.0, []
    for sample in samples:
        extra += cores(sample.t) * 0.05
        busy = (sample.host.busy_s[0] + extra, *sample.host.busy_s[1:])
        host = msgspec.structs.replace(sample.host, busy_s=busy)
        rows.append(msgspec.structs.replace(sample, host=host))
    return rows


@pytest.mark.parametrize(
    ("foreign", "verdict"),
    [
        pytest.param(-0.2, Verdict.CLEAR, id="less was counted than was used"),
        pytest.param(0.0, Verdict.CLEAR, id="quiet"),
        pytest.param(0.09, Verdict.CLEAR, id="the kernel's own threads"),
        pytest.param(0.11, Verdict.UNKNOWN, id="between the limits"),
        pytest.param(0.19, Verdict.UNKNOWN, id="just below the limit"),
        pytest.param(0.21, Verdict.FOUND, id="just above the limit"),
        pytest.param(1.0, Verdict.FOUND, id="a whole core"),
    ],
)
def test_foreign_cores_decide(foreign: float, verdict: Verdict) -> None:
    answer = check(noisy_run(foreign))
    assert answer.verdict is verdict, answer.claim
    assert evidence_of(answer)["foreign_cores"] == pytest.approx(max(0.0, foreign))
    assert ("top" in answer.next_step) == (verdict is Verdict.FOUND)


@pytest.mark.parametrize(
    ("steal", "verdict"),
    [
        pytest.param(0.09, Verdict.CLEAR, id="a little"),
        pytest.param(0.11, Verdict.FOUND, id="just above the limit"),
    ],
)
def test_stolen_cores_decide(steal: float, verdict: Verdict) -> None:
    answer = check(noisy_run(0.0, steal=steal))
    assert answer.verdict is verdict
    assert evidence_of(answer)["stolen_cores"] == pytest.approx(steal)
    if verdict is Verdict.FOUND:
        assert "hypervisor" in answer.claim
        assert "neighbors" in answer.next_step


def test_both_are_named() -> None:
    answer = check(noisy_run(0.5, steal=0.3))
    assert "0.50 cores" in answer.claim
    assert "0.30 cores to other machines" in answer.claim


class TestBursts:
    """Short bursts count although their mean is small."""

    @pytest.mark.parametrize(
        ("seconds", "cores", "verdict"),
        [
            pytest.param(0.4, 0.5, Verdict.CLEAR, id="one short burst"),
            pytest.param(1.0, 0.4, Verdict.FOUND, id="two half seconds"),
            pytest.param(1.0, 0.25, Verdict.CLEAR, id="two half seconds of little"),
        ],
    )
    def test_two_half_seconds_of_ten(self, seconds: float, cores: float, verdict: Verdict) -> None:
        quiet = make_samples(host_busy=(KNOWN / 4,) * 4)
        start = WINDOW + 2.0
        loud = with_bursts(quiet, lambda t: cores * (start < t < start + seconds + 0.001))
        answer = check(make_run(samples=loud))
        assert answer.verdict is verdict, answer.claim
        if verdict is Verdict.FOUND:
            assert evidence_of(answer)["burst_share"] == pytest.approx(0.2, abs=0.03)
            assert evidence_of(answer)["foreign_cores"] == pytest.approx(0.08, abs=0.02)

    def test_bursts_outside_of_the_window_do_not_count(self) -> None:
        quiet = make_samples(host_busy=(KNOWN / 4,) * 4)
        loud = with_bursts(quiet, lambda t: 2.0 * (t <= WINDOW or t > WINDOW + WINDOW_S))
        assert check(make_run(samples=loud)).verdict is Verdict.CLEAR

    @pytest.mark.parametrize(
        ("told", "verdict"),
        [
            pytest.param(True, Verdict.CLEAR, id="bytes say when the load worked"),
            pytest.param(False, Verdict.FOUND, id="without bytes its work is spread evenly"),
        ],
    )
    def test_work_of_the_load_in_bursts_is_not_foreign(self, told: bool, verdict: Verdict) -> None:
        """The load works a whole core for a second, as its bytes show, and rests for four."""
        quiet = make_samples(host_busy=((KNOWN - 0.3) / 4,) * 4)
        loud = with_bursts(quiet, lambda t: 1.0 * (WINDOW < t < WINDOW + 1.001))
        ticks = tuple(burst(tick) if told else still(tick) for tick in make_ticks())
        load = make_load(workers=(make_worker(cpu=0.2),))
        assert check(make_run(samples=loud, ticks=ticks, load=load)).verdict is verdict


def burst(tick: LoadTick) -> LoadTick:
    """All bytes are moved in the first second of the window."""
    sent = int(1e6 * min(1.0, max(0.0, tick.t - WINDOW)))
    return msgspec.structs.replace(tick, bytes_sent=sent, bytes_received=sent)


def still(tick: LoadTick) -> LoadTick:
    """No bytes are moved."""
    return msgspec.structs.replace(tick, bytes_sent=0, bytes_received=0)


def test_cores_that_the_run_may_not_use_do_not_count() -> None:
    samples = make_samples(host_busy=((KNOWN) / 4,) * 4 + (1.0,) * 4)
    host = make_host(8, server=(0, 1))
    on_others = make_run(samples=samples, host=replace(host, load_cpus=(2, 3)))
    assert check(on_others).verdict is Verdict.CLEAR
    assert check(make_run(samples=samples, host=host)).verdict is Verdict.FOUND


def test_a_server_whose_processes_come_and_go_is_not_foreign() -> None:
    processes = (
        *two_workers(0.6),
        *(Process(6000 + n, unseen=0.7, born=WINDOW + n, died=WINDOW + n + 1) for n in range(5)),
    )
    samples = make_samples(processes, host_busy=(0.55, 0.55, 0.55, 0.56))
    answer = check(make_run(samples=samples))
    assert answer.verdict is Verdict.CLEAR, answer.claim


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"load": None}, "no result", id="no result"),
        pytest.param({"load": make_load(workers=())}, "no result", id="no workers"),
        pytest.param({"load": make_load(duration_s=0.49)}, "no result", id="too short"),
        pytest.param({"samples": ()}, "hardly sampled", id="no samples"),
        pytest.param(
            {"samples": [s for s in make_samples() if s.t > WINDOW][:9]},
            "hardly sampled",
            id="nine samples",
        ),
        pytest.param(
            {"samples": make_samples(two_workers(0.001), host_busy=(0.9,) * 4)},
            "not among them",
            id="the server is elsewhere",
        ),
    ],
)
def test_unknown_without_the_figures(changes: dict[str, Any], why: str) -> None:
    answer = check(make_run(**changes))
    assert answer.verdict is Verdict.UNKNOWN
    assert why in answer.claim


def test_slices_are_half_seconds_at_any_rate() -> None:
    """At 4 samples a second each slice has two."""
    slow = make_samples(host_busy=(KNOWN / 4,) * 4, rate_hz=4.0)
    assert len(list(times(0.0, WINDOW_S, 4.0))) == 20
    answer = check(make_run(samples=slow, sample_rate_hz=4.0))
    assert answer.verdict is Verdict.CLEAR
    assert evidence_of(answer)["burst_share"] == 0


@pytest.mark.parametrize(("waited_for", "verdict"), [(0.0, Verdict.FOUND), (0.6, Verdict.CLEAR)])
def test_children_that_lived_too_shortly_to_be_seen_are_the_servers(
    waited_for: float, verdict: Verdict
) -> None:
    """A program that is run for each request: its CPU time is its parent's when it has ended."""
    samples = []
    for sample in noisy_run(0.6).samples:
        first, *others = sample.processes
        parent = msgspec.structs.replace(first, children_user_s=waited_for * sample.t)
        samples.append(
            msgspec.structs.replace(sample, processes=(parent, *others), forks=int(sample.t * 100))
        )
    answer = check(make_run(samples=tuple(samples)))
    assert answer.verdict is verdict, answer.claim
