"""How a server serves: threads by their rest, requests at a time, what waits."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.analysis.observe import usage
from diagnose.analysis.room import left_over, room
from diagnose.analysis.runtimes import runtime_of
from diagnose.analysis.serving import serving, unloaded_latency
from diagnose.analysis.thread_time import Place, place_of, thread_times
from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.model.load import TemplateResult
from diagnose.model.run import ProbeCheck
from tests.analysis.parallel import (
    ACCEPT,
    EPOLL,
    FUTEX,
    READ,
    SLEEP,
    blind,
    idle_cores,
    process,
    threads,
)
from tests.builders import (
    SERVER_PID,
    Kernel,
    empty_run,
    flat,
    make_host,
    make_latency,
    make_launch,
    make_load,
    make_run,
    make_samples,
    make_scenario,
    make_ticks,
    make_worker,
    ramp,
    two_workers,
)


@pytest.mark.parametrize(
    ("channel", "place"),
    [
        ("futex_wait_queue_me", Place.LOCK),
        ("futex_do_wait", Place.LOCK),
        ("locks_lock_inode_wait", Place.LOCK),
        ("do_semtimedop", Place.LOCK),
        ("ep_poll", Place.READY),
        ("do_epoll_wait", Place.READY),
        ("poll_schedule_timeout.constprop.0", Place.READY),
        ("do_select", Place.READY),
        ("io_cqring_wait", Place.READY),
        ("inet_csk_accept", Place.ACCEPT),
        ("wait_woken", Place.SOCKET),
        ("sk_wait_data", Place.SOCKET),
        ("unix_stream_read_generic", Place.SOCKET),
        ("hrtimer_nanosleep", Place.SLEEP),
        ("anon_pipe_read", Place.PIPE),
        ("pipe_wait_readable", Place.PIPE),
        ("do_wait", Place.CHILD),
        ("folio_wait_bit_common", Place.DISK),
        ("jbd2_log_wait_commit", Place.DISK),
        ("do_sigtimedwait.isra.0", Place.OTHER),
        ("__do_sys_pause", Place.OTHER),
    ],
)
def test_kernel_functions_are_places(channel: str, place: Place) -> None:
    """Names of Linux 4.18 to 6.18."""
    assert place_of(channel) is place


def test_a_thread_spends_its_time_in_places() -> None:
    run = idle_cores([process(*threads(1, SLEEP, running=0.2, waiting=0.1, rest=EPOLL))])
    (row,) = thread_times(run)
    assert row.share(Place.SLEEP) == pytest.approx(0.7)
    assert row.share(Place.READY) == 0
    assert row.switches == pytest.approx(20, rel=0.05)
    (at_rest,) = thread_times(run, "idle")
    assert at_rest.share(Place.READY) > 0.6


def test_no_samples_are_no_threads() -> None:
    assert thread_times(empty_run()) == ()
    nothing = serving(empty_run())
    assert not nothing.seen
    assert nothing.loops() == nothing.taking_part() == []
    assert nothing.at_once is None
    assert nothing.waiting == 0


def test_rest_and_parts() -> None:
    helper = threads(1, FUTEX, switches=2, first=9000)
    run = idle_cores(
        [
            process(
                *threads(1, SLEEP, rest=EPOLL, switches=300),
                *threads(4, SLEEP, rest=FUTEX, switches=90, first=5000),
                *helper,
            )
        ]
    )
    seen = serving(run)
    assert [row.use.tid for row in seen.loops()] == [SERVER_PID + 1]
    assert sorted(row.use.tid for row in seen.taking_part()) == [SERVER_PID + 1, *range(5000, 5004)]
    assert seen.rest[SERVER_PID, 9000] is Place.LOCK
    assert seen.accepted == {SERVER_PID: 64}


@pytest.mark.parametrize(
    ("runtime", "unloaded_s", "trusted", "most"),
    [
        pytest.param("cpython", 0.0009, None, None, id="too short to be the server's"),
        pytest.param("cpython", 0.002, 2.0, 2.0, id="long enough"),
        pytest.param("jvm", 0.002, None, 2.0, id="first requests of a compiling runtime"),
        pytest.param("jvm", 0.02, 20.0, 20.0, id="long there too"),
        pytest.param("cpython", None, None, None, id="not probed"),
    ],
)
def test_requests_at_a_time(
    runtime: str, unloaded_s: float | None, trusted: float | None, most: float | None
) -> None:
    run = idle_cores(
        [process(*threads(1, EPOLL))], runtime=runtime, unloaded_s=unloaded_s, rps=1000
    )
    seen = serving(run)
    assert seen.at_once == (None if trusted is None else pytest.approx(trusted))
    assert seen.at_once_most == (None if most is None else pytest.approx(most))


def probe(name: str, template: str, seconds: float, outcome: str = "pass") -> ProbeCheck:
    """One request on the idle server."""
    return ProbeCheck(name, template, outcome, "", seconds)


@pytest.mark.parametrize(
    ("probes", "expected"),
    [
        pytest.param((probe("plain", "get", 0.02), probe("kept", "get", 0.01)), 0.01, id="quicker"),
        pytest.param((probe("fragmented", "get", 0.09),), None, id="fragments are slow by design"),
        pytest.param((probe("plain", "get", 0.02, "error"),), None, id="failed"),
        pytest.param((probe("plain", "sum", 0.02),), None, id="of another template"),
        pytest.param((), None, id="none"),
    ],
)
def test_the_unloaded_latency(probes: tuple[ProbeCheck, ...], expected: float | None) -> None:
    assert unloaded_latency(make_run(probes=probes)) == expected


def test_the_unloaded_latency_is_weighted_by_responses() -> None:
    parts = (
        TemplateResult("get", 3000, 0, make_latency()),
        TemplateResult("sum", 1000, 0, make_latency()),
        TemplateResult("never", 0, 0, make_latency(0)),
    )
    probes = (probe("plain", "get", 0.01), probe("kept", "sum", 0.03))
    run = make_run(load=make_load(templates=parts), probes=probes)
    assert unloaded_latency(run) == pytest.approx(0.015)


@pytest.mark.parametrize(
    ("acks", "p50_s", "waits"),
    [
        pytest.param(5000, 0.044, True, id="each answer, and about that long"),
        pytest.param(5000, 0.12, False, id="longer than the delay"),
        pytest.param(500, 0.044, False, id="few"),
    ],
)
def test_answers_that_wait_for_acknowledgments(acks: float, p50_s: float, waits: bool) -> None:
    kernel = Kernel(delayed_acks=ramp((104.0, 0), (109.0, acks)))
    run = idle_cores([process(*threads(1, EPOLL))], kernel=kernel, p50_s=p50_s)
    assert serving(run).waits_for_acks is waits


def test_the_longer_queue_is_what_waits() -> None:
    kernel = Kernel(accept_queue=flat(40))
    member = process(*threads(1, ACCEPT))
    assert serving(idle_cores([member], unread=12, kernel=kernel)).waiting == 40
    assert serving(idle_cores([member], unread=52, kernel=kernel)).waiting == 52


@pytest.mark.parametrize(
    ("running", "seen"),
    [
        pytest.param((0.97, 0.0), True, id="one works all the time"),
        pytest.param((0.97, 0.5), False, id="another sleeps unseen"),
        pytest.param((0.05,), False, id="it sleeps unseen"),
    ],
)
def test_where_nothing_sleeps_nothing_needs_to_be_seen(
    running: tuple[float, ...], seen: bool
) -> None:
    members = [
        thread
        for place, share in enumerate(running)
        for thread in threads(1, READ, running=share, first=5000 + place)
    ]
    assert serving(blind(idle_cores([process(*members)]))).seen is seen


@pytest.mark.parametrize(
    ("pid", "runtimes", "expected"),
    [
        (1, {1: "jvm"}, "jvm"),
        (2, {1: "jvm"}, "jvm"),
        (2, {1: "jvm", 3: "nginx"}, ""),
        (2, {}, ""),
    ],
)
def test_a_later_process_has_the_runtime_of_the_others(
    pid: int, runtimes: dict[int, str], expected: str
) -> None:
    assert runtime_of(make_run(launch=make_launch(runtimes=runtimes)), pid) == expected


class TestRoom:
    """The cores that the server did not want."""

    def of(self, busy: float, **changes: Any) -> Any:
        host_busy = changes.pop("host_busy", (busy, busy, 0.2, 0.2))
        kernel = changes.pop("kernel", Kernel())
        samples = make_samples(two_workers(busy), host_busy=host_busy, kernel=kernel)
        run = make_run(**{"samples": samples, **changes})
        used = usage(run)
        assert used is not None
        return room(run, used)

    def test_is_what_is_idle(self) -> None:
        left = self.of(0.4)
        assert left.share == pytest.approx(0.6)
        assert left.doubt == ""
        assert left.in_flight == 64

    def test_of_a_quota_is_the_quotas(self) -> None:
        left = self.of(0.4, kernel=Kernel(quota=1.0))
        assert left.cores == 1.0
        assert left.unwanted == pytest.approx(0.2)

    def test_without_work_is_doubtful(self) -> None:
        assert "cannot keep 2 cores busy" in self.of(0.4, ticks=()).doubt

    def test_with_a_late_generator_is_doubtful(self) -> None:
        load = make_load(workers=(make_worker(lag_share=0.7),))
        assert "the generator's own" in self.of(0.4, load=load).doubt

    @pytest.mark.parametrize(("others", "verdict"), [(0.05, Verdict.CLEAR), (0.3, Verdict.UNKNOWN)])
    def test_that_others_took_rules_nothing_out(self, others: float, verdict: Verdict) -> None:
        """The server wanted its cores, and other programs had a part of them."""
        host_busy = (0.97, 0.97, 0.16 + others / 2, 0.16 + others / 2)
        run = make_run(samples=make_samples(two_workers(), host_busy=host_busy))
        answer = left_over(run, "lock_contention", Kind.CAUSE)
        assert isinstance(answer, Finding)
        assert answer.verdict is verdict

    def test_is_never_negative(self) -> None:
        everything = {"host_busy": (1.0, 1.0), "host": make_host(2, mode="shared")}
        assert self.of(0.99, **everything).unwanted == pytest.approx(0.0, abs=1e-6)


def test_pipelined_requests_are_counted_by_connection() -> None:
    """16 requests on each of 64 connections: no more than 64 sockets can lie unread."""
    run = idle_cores(
        [process(*threads(1, EPOLL))],
        scenario=make_scenario(pipeline=16),
        ticks=make_ticks(in_flight=1024),
    )
    assert serving(run).asking == 64
