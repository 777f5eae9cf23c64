"""low_cpu: cores idle although requests wait."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.analysis.rules.low_cpu import check
from diagnose.model.finding import Verdict
from diagnose.model.run import ProbeCheck, Run
from tests.builders import (
    SERVER_PID,
    WINDOW,
    Kernel,
    Process,
    Thread,
    evidence_of,
    make_host,
    make_load,
    make_run,
    make_samples,
    make_ticks,
    make_worker,
    two_workers,
)


def run_with_idle(idle: float, **changes: Any) -> Run:
    """Both cores of the server idle for that share."""
    busy = 1 - idle
    samples = make_samples(two_workers(busy), host_busy=(busy, busy, 0.3, 0.3))
    return make_run(**{"samples": samples, **changes})


@pytest.mark.parametrize(
    ("idle", "verdict"),
    [
        pytest.param(0.0, Verdict.CLEAR, id="none idle"),
        pytest.param(0.119, Verdict.CLEAR, id="just under the clear limit"),
        pytest.param(0.121, Verdict.UNKNOWN, id="just over the clear limit"),
        pytest.param(0.199, Verdict.UNKNOWN, id="just under the limit"),
        pytest.param(0.201, Verdict.FOUND, id="just over the limit"),
        pytest.param(0.98, Verdict.FOUND, id="nearly all idle"),
    ],
)
def test_share_of_idle_cores_decides(idle: float, verdict: Verdict) -> None:
    answer = check(run_with_idle(idle))
    assert answer.verdict is verdict
    assert evidence_of(answer)["unwanted_share"] == pytest.approx(idle, abs=1e-6)


def test_found_says_how_much_was_idle_and_waiting() -> None:
    answer = check(run_with_idle(0.4))
    said = "used 1.20 of 2 cores and did not want another 0.80 while 64 requests were in flight"
    assert said in answer.claim
    assert answer.explains == pytest.approx(0.4)


def test_only_the_servers_cores_count() -> None:
    samples = make_samples(two_workers(0.99), host_busy=(0.99, 0.99, 0.0, 0.0))
    assert check(make_run(samples=samples)).verdict is Verdict.CLEAR


@pytest.mark.parametrize(
    ("waiting", "verdict"),
    [
        pytest.param(0.0, Verdict.FOUND, id="the server did not want them"),
        pytest.param(0.58, Verdict.UNKNOWN, id="hardly wanted less"),
        pytest.param(0.69, Verdict.CLEAR, id="the server waited for them"),
    ],
)
def test_cores_that_others_took_count_where_the_server_did_not_wait(
    waiting: float, verdict: Verdict
) -> None:
    workers = [Process(5001 + n, (Thread(5001 + n, 0.3, waiting),)) for n in range(2)]
    samples = make_samples(workers, host_busy=(1.0, 1.0, 0.3, 0.3))
    assert check(make_run(samples=samples)).verdict is verdict


@pytest.mark.parametrize(
    ("cpu", "verdict"),
    [
        pytest.param(0.1, Verdict.FOUND, id="idle"),
        pytest.param(0.7, Verdict.CLEAR, id="the generator had the rest"),
    ],
)
def test_cores_that_the_generator_shares_and_used_were_not_there(
    cpu: float, verdict: Verdict
) -> None:
    """Six tenths of two cores are the server's; its threads did not wait."""
    busy = min(1.0, 0.6 + cpu / 2)
    samples = make_samples(two_workers(0.6), host_busy=(busy, busy))
    load = make_load(workers=(make_worker(cpu=cpu, asleep=1 - cpu),))
    run = make_run(samples=samples, load=load, host=make_host(2, mode="shared"))
    assert check(run).verdict is verdict


@pytest.mark.parametrize(
    ("in_flight", "workers", "verdict"),
    [
        pytest.param(3, 1, Verdict.UNKNOWN, id="fewer than two a core"),
        pytest.param(4, 1, Verdict.FOUND, id="two a core"),
        pytest.param(2, 2, Verdict.UNKNOWN, id="fewer over two workers"),
        pytest.param(4, 2, Verdict.FOUND, id="two a core over two workers"),
    ],
)
def test_requests_in_flight_must_suffice(in_flight: int, workers: int, verdict: Verdict) -> None:
    run = run_with_idle(
        0.6,
        ticks=make_ticks(in_flight=in_flight, workers=workers),
        load=make_load(workers=tuple(make_worker(n) for n in range(workers))),
    )
    answer = check(run)
    assert answer.verdict is verdict
    assert evidence_of(answer)["in_flight"] == in_flight


@pytest.mark.parametrize(("in_flight", "verdict"), [(19, Verdict.UNKNOWN), (20, Verdict.FOUND)])
def test_every_core_of_the_server_needs_its_two_requests(in_flight: int, verdict: Verdict) -> None:
    samples = make_samples(two_workers(0.9), host_busy=[0.2] * 20)
    ticks = make_ticks(in_flight=in_flight)
    answer = check(make_run(samples=samples, ticks=ticks, host=make_host(20)))
    assert answer.verdict is verdict
    assert [row.threshold for row in answer.evidence if row.metric == "in_flight"] == [20.0]


def test_requests_in_flight_of_the_window_count_alone() -> None:
    busy = make_ticks(in_flight=64)
    ticks = [tick if tick.phase == "window" else make_ticks(in_flight=0)[0] for tick in busy]
    answer = check(run_with_idle(0.6, ticks=ticks))
    assert evidence_of(answer)["in_flight"] == 64


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"samples": ()}, "hardly sampled", id="no samples"),
        pytest.param({"load": None}, "hardly sampled", id="no result"),
        pytest.param({"host": make_host(server=(1,))}, "one core", id="one core"),
        pytest.param({"ticks": ()}, "0.0 requests in flight", id="no ticks"),
    ],
)
def test_unknown_says_why(changes: dict[str, Any], why: str) -> None:
    answer = check(run_with_idle(0.6, **changes))
    assert answer.verdict is Verdict.UNKNOWN
    assert why in answer.claim


def test_five_of_sixty_four_cores_are_low_cpu() -> None:
    threads = tuple(Thread(SERVER_PID + n, 5.63 / 64) for n in range(64))
    samples = make_samples((Process(threads=threads),), host_busy=[5.63 / 64] * 64)
    run = make_run(
        samples=samples,
        host=make_host(64, mode="shared"),
        connections=512,
        ticks=make_ticks(established=512, in_flight=512),
    )
    answer = check(run)
    assert answer.verdict is Verdict.FOUND
    assert evidence_of(answer)["server_cpu"] == pytest.approx(5.63)


@pytest.mark.parametrize(
    ("steal", "verdict"),
    [
        pytest.param(0.0, Verdict.FOUND, id="idle"),
        pytest.param(0.8, Verdict.CLEAR, id="a fifth of every core stolen"),
    ],
)
def test_stolen_time_is_not_idle_time(steal: float, verdict: Verdict) -> None:
    """/proc/stat counts it as neither busy nor idle; the hypervisor gave it to others."""
    samples = make_samples(two_workers(0.7), host_busy=(0.7, 0.7, 0.2, 0.2), steal=steal)
    assert check(make_run(samples=samples)).verdict is verdict


@pytest.mark.parametrize(
    ("lag_share", "verdict"),
    [
        pytest.param(0.49, Verdict.FOUND, id="in time"),
        pytest.param(0.51, Verdict.UNKNOWN, id="late"),
    ],
)
def test_answers_that_the_generator_had_not_read_are_not_waiting(
    lag_share: float, verdict: Verdict
) -> None:
    workers = (make_worker(0), make_worker(1, lag_share=lag_share))
    answer = check(run_with_idle(0.6, load=make_load(workers=workers)))
    assert answer.verdict is verdict
    if verdict is Verdict.UNKNOWN:
        assert "51% of the latency was the generator's own" in answer.claim


@pytest.mark.parametrize(
    ("count", "verdict"), [(9, Verdict.UNKNOWN), (10, Verdict.FOUND)], ids=["nine", "ten"]
)
def test_ten_samples_are_needed(count: int, verdict: Verdict) -> None:
    samples = make_samples(two_workers(0.4), host_busy=(0.4, 0.4, 0, 0))
    samples = tuple(sample for sample in samples if sample.t > WINDOW)[:count]
    assert check(make_run(samples=samples)).verdict is verdict


@pytest.mark.parametrize(
    ("cores", "responses", "why"),
    [
        pytest.param(0.009, 2000, "not among them", id="did next to nothing"),
        pytest.param(0.011, 2000, "", id="did something"),
        pytest.param(0.0, 1999, "", id="had little to do"),
    ],
)
def test_a_server_that_was_not_sampled_is_unknown(cores: float, responses: int, why: str) -> None:
    """`docker run` as the command: the client idles, the server is elsewhere."""
    process = Process(threads=(Thread(SERVER_PID, cores, name="docker"),))
    samples = make_samples((process,), host_busy=(0.5, 0.5, 0.3, 0.3))
    answer = check(make_run(samples=samples, load=make_load(responses=responses)))
    assert answer.verdict is (Verdict.UNKNOWN if why else Verdict.FOUND)
    assert why in answer.claim


@pytest.mark.parametrize("cpus", [(32, 33), (1, 33)], ids=["none is known", "one is known"])
def test_cores_that_the_host_does_not_report_are_not_busy(cpus: tuple[int, ...]) -> None:
    samples = make_samples(two_workers(0.1), host_busy=(0.1, 0.9, 0.1, 0.1))
    answer = check(make_run(samples=samples, host=make_host(server=cpus)))
    assert answer.verdict is not Verdict.CLEAR


@pytest.mark.parametrize(
    ("quota", "used", "verdict"),
    [
        pytest.param(4.0, 3.9, Verdict.CLEAR, id="all of its quota"),
        pytest.param(4.0, 1.0, Verdict.FOUND, id="a quarter of its quota"),
        pytest.param(-1.0, 3.9, Verdict.FOUND, id="no quota"),
        pytest.param(1.0, 0.1, Verdict.UNKNOWN, id="a quota of one core"),
    ],
)
def test_cores_beyond_a_quota_are_not_idle_by_fault(
    quota: float, used: float, verdict: Verdict
) -> None:
    """Sixteen cores; the quota of the container leaves the rest idle by order."""
    threads = tuple(Thread(5000 + n, used / 16) for n in range(16))
    samples = make_samples(
        (Process(threads=threads),), host_busy=[used / 16] * 32, kernel=Kernel(quota=quota)
    )
    answer = check(make_run(samples=samples, host=make_host(32)))
    assert answer.verdict is verdict
    if quota == 4.0:
        assert "of 4 cores (its CPU quota)" in answer.claim
    if verdict is Verdict.UNKNOWN:
        assert "a CPU quota of 1 cores only" in answer.claim


@pytest.mark.parametrize(
    ("unloaded_s", "said"),
    [
        pytest.param(0.06, "60 requests were worked on side by side", id="each waits for itself"),
        pytest.param(0.002, "look at what the threads wait for", id="they wait for each other"),
    ],
)
def test_the_next_step_tells_waits_side_by_side_from_a_queue(unloaded_s: float, said: str) -> None:
    probes = (ProbeCheck("kept", "get", "pass", "", unloaded_s),)
    assert said in check(run_with_idle(0.9, probes=probes)).next_step
