"""The conversation that this toolkit was made for, in its own figures.

An entry on a 64-core machine: baseline at 3,130 requests/s and 563 % CPU with 512 connections; json
with 40,717 responses and 40,733 reconnects; uploads of 20 MB over 256 connections with no response,
7,472 % CPU and 4.0, 7.2 and 11.9 GiB of memory in three runs. Source: HttpArena, PR #85.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from diagnose.analysis.engine import analyze
from diagnose.analysis.figures import figures
from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.model.load import TemplateResult
from diagnose.model.run import Run
from tests.builders import (
    BODY,
    DRAIN,
    GIB,
    SERVER_PID,
    UPLOADS,
    WARMUP,
    Kernel,
    Process,
    Sockets,
    Thread,
    connections_over,
    flat,
    make_host,
    make_latency,
    make_launch,
    make_load,
    make_phases,
    make_run,
    make_samples,
    make_ticks,
    ramp,
)

CORES = 64


def answers(run: Run) -> dict[str, Finding]:
    """What every rule says, by name."""
    return {answer.id: answer for answer in analyze(run)}


def domains(shares: Sequence[float]) -> tuple[Thread, ...]:
    """The scheduler's domain and the helpers of the runtime, by the cores that each uses."""
    return tuple(
        Thread(SERVER_PID + place, share, name="vif", channel="do_epoll_wait" if place == 0
               else "futex_do_wait", rest="do_epoll_wait" if place == 0 else "futex_do_wait",
               switches=400)
        for place, share in enumerate(shares)
    )  # fmt: skip


# 563 % CPU: spread over all domains, or one scheduler at its limit with its helpers.
SPREADS = {
    "over all domains": [5.63 / 64] * 64,
    "one scheduler and helpers": [0.98, *[0.3] * 15, 0.15],
    "six of them": [0.94] * 5 + [0.93],
}


def baseline(shares: Sequence[float], *, quota: float = -1.0) -> Run:
    """baseline with 512 connections: 3,130 requests a second, 5.6 of 64 cores."""
    process = Process(threads=domains(shares), name="vif", descriptors=connections_over(1, 512))
    responses = 15_650
    latency = replace(make_latency(responses), mean_s=0.1636, p50_s=0.16, p99_s=0.2)
    return make_run(
        samples=make_samples(
            (process,),
            host_busy=[(sum(shares) + 0.31) / CORES] * CORES,
            sockets=Sockets(512, unread_sockets=flat(180)),
            kernel=Kernel(quota=quota),
        ),
        ticks=make_ticks(rps=3130, established=512, in_flight=512),
        load=make_load(
            connections=512,
            established=512,
            responses=responses,
            ok=responses,
            latency=latency,
            templates=(TemplateResult("get", responses, 0, latency),),
        ),
        connections=512,
        host=make_host(CORES, mode="shared"),
        launch=make_launch(name="vif", runtimes={SERVER_PID: "ocaml"}),
    )


@pytest.mark.parametrize("shares", SPREADS.values(), ids=SPREADS.keys())
def test_five_and_a_half_of_64_cores_are_low_and_not_one_thread(shares: Sequence[float]) -> None:
    run = baseline(shares)
    assert figures(run).cpu_cores == pytest.approx(5.63, abs=0.01)
    said = answers(run)
    assert said["low_cpu"].verdict is Verdict.FOUND
    assert "used 5.63 of 64 cores" in said["low_cpu"].claim
    assert said["single_threaded"].verdict is not Verdict.FOUND
    assert said["gil_bound"].verdict is Verdict.CLEAR
    assert said["worker_imbalance"].verdict is Verdict.CLEAR
    assert said["cpu_without_progress"].verdict is Verdict.CLEAR


def test_six_busy_domains_are_too_few() -> None:
    said = answers(baseline(SPREADS["six of them"]))
    assert said["too_few_workers"].verdict is Verdict.FOUND
    assert said["low_cpu"].explained_by == ("too_few_workers",)


def test_what_one_run_cannot_tell_is_not_claimed() -> None:
    """Spread over all domains, nothing shows what holds them: the symptom says so."""
    said = answers(baseline(SPREADS["over all domains"]))
    causes = [answer for answer in said.values() if answer.kind is Kind.CAUSE]
    assert not [answer.claim for answer in causes if answer.verdict is Verdict.FOUND]
    assert said["low_cpu"].unexplained


def test_a_quota_of_six_cores_would_explain_it() -> None:
    run = baseline(SPREADS["over all domains"], quota=5.6)
    assert answers(run)["low_cpu"].verdict is Verdict.CLEAR


def json_run() -> Run:
    """json with 4,096 connections: every response ends its connection, and is announced so."""
    return make_run(
        load=make_load(
            connections=4096,
            established=4096,
            responses=40_717,
            ok=40_717,
            opens=40_733,
            server_closes=40_717,
            close_announced=40_717,
        ),
        ticks=make_ticks(rps=8143, established=4096, in_flight=4096),
        connections=4096,
    )


def test_a_reconnect_for_each_response_is_seen() -> None:
    said = answers(json_run())["connection_closed"]
    assert said.verdict is Verdict.FOUND
    assert "40717 connections over 40717 responses" in said.claim


def upload(peak_gib: float) -> Run:
    """20 MB uploads over 256 connections: nothing is answered, memory grows to the end."""
    shares = [74.72 / 64 - 0.1675] * 64
    process = Process(
        threads=domains(shares),
        name="vif",
        unseen=74.72 - sum(shares),
        anonymous=ramp((WARMUP, 2.1 * GIB), (DRAIN, peak_gib * GIB)),
        descriptors=connections_over(1, 256),
    )
    sent = int(256 * BODY * 0.9)
    return make_run(
        samples=make_samples(
            (process,),
            host_busy=[0.99] * CORES,
            sockets=Sockets(256, unread_sockets=flat(200)),
        ),
        ticks=make_ticks(
            rps=0,
            established=256,
            in_flight=256,
            body_in_flight=ramp((WARMUP, 0), (DRAIN, sent)),
        ),
        load=make_load(
            connections=256,
            established=256,
            responses=0,
            ok=0,
            status_classes={},
            bytes_sent=sent,
            body_sent=sent,
            bytes_received=0,
            unanswered=256,
            unanswered_stalled_s=11.0,
            drain_progress=False,
            drain_s=10.5,
            latency=make_latency(0),
            templates=(),
            connection_responses=None,
            silent_connections=256,
        ),
        scenario=UPLOADS,
        connections=256,
        host=make_host(CORES, mode="shared"),
        launch=make_launch(name="vif", runtimes={SERVER_PID: "ocaml"}),
        phases=make_phases(),
    )


@pytest.mark.parametrize("peak_gib", [4.0, 7.2, 11.9])
def test_uploads_burn_cpu_and_memory_and_answer_nothing(peak_gib: float) -> None:
    run = upload(peak_gib)
    assert figures(run).cpu_cores == pytest.approx(74.72, abs=0.01)
    said = answers(run)
    for name in ("memory_blowup", "hung", "cpu_without_progress"):
        assert said[name].verdict is Verdict.FOUND, said[name].claim
    assert "answered nothing" in said["cpu_without_progress"].claim
    assert said["low_cpu"].verdict is not Verdict.FOUND
    assert said["single_threaded"].verdict is not Verdict.FOUND
