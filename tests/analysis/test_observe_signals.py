"""What samples amount to beyond threads and memory: network, waits, forks, host, peaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from diagnose.analysis.observe import usage
from diagnose.analysis.observe_host import CgroupUse, PressureUse, cgroup, pressure
from diagnose.analysis.observe_memory import (
    PhasePeak,
    ProportionalMemory,
    phase_peak,
    proportional_memory,
)
from diagnose.analysis.observe_network import (
    AcceptQueue,
    NetworkUse,
    accept_queue,
    network,
    queued_data,
)
from diagnose.analysis.observe_processes import Forks, forks
from diagnose.analysis.observe_threads import switches, wait_channels
from diagnose.model.run import Run
from diagnose.model.samples import (
    CgroupSample,
    HostSample,
    ListenerSample,
    NetworkSample,
    PressureSample,
    ProcessSample,
    Sample,
    SocketSample,
    ThreadSample,
)
from tests.builders import DRAIN, WINDOW, make_run

HOST = HostSample((0.0, 0.0), 0.0, 0)
PROCESS = ProcessSample(7, 1, "server", 0, 0, 0, 0, 0, 0, 0, 1, 3, 0, 0, 0, 0, 0, 0, ())
THREAD = ThreadSample(7, "main", "S", 0, 0.0, 0.0, 0.0, 0.0)


def process(pid: int = 7, **changes: Any) -> ProcessSample:
    """A process with these fields."""
    return msgspec.structs.replace(PROCESS, pid=pid, **changes)


def thread(tid: int = 7, **changes: Any) -> ThreadSample:
    """A thread with these fields."""
    return msgspec.structs.replace(THREAD, tid=tid, **changes)


def run_of(samples: Iterable[Sample]) -> Run:
    """A run with these samples."""
    return replace(make_run(), samples=tuple(samples))


def run_with(field: str, *values: object) -> Run:
    """One sample a second of the window, of which a field is known."""
    return run_of(
        Sample(WINDOW + second, HOST, (), **{field: value}) for second, value in enumerate(values)
    )


# -- network ------------------------------------------------------------------------------------


def test_growth_of_the_counters() -> None:
    run = run_with(
        "network",
        None,
        NetworkSample(10, 20, 30, 40, 50, 60, 70),
        None,
        NetworkSample(11, 22, 33, 44, 55, 66, 77),
        None,
    )
    assert network(run) == NetworkUse(2.0, 1, 2, 3, 4, 5, 6, 7)


def test_counters_that_the_kernel_lacks_are_unknown() -> None:
    run = run_with(
        "network",
        NetworkSample(-1, 20, 30, 40, 50, 60, 70),
        NetworkSample(-1, 20, 29, 40, 50, 60, 70),
    )
    seen = network(run)
    assert seen is not None
    assert (seen.listen_overflows, seen.listen_drops, seen.retransmits) == (None, 0, None)


def test_the_fullest_listener() -> None:
    run = run_with(
        "listeners",
        ListenerSample(0, 1, 1, 0),
        ListenerSample(1, 1, 1, 1),
        ListenerSample(2, 1, 1, 2),
        ListenerSample(0, 0, 0, 0),
        ListenerSample(1, 4, 3, 2),
        None,
    )
    assert accept_queue(run) == AcceptQueue(4, 1.0, 2, 4, 0.25, 3)


def test_data_that_waits() -> None:
    run = run_with(
        "sockets",
        SocketSample(64, 2, 100, 50, 7, 0, 511),
        SocketSample(64, 4, 300, 150, 9, 0, 511, unsent_sockets=3, close_wait=1),
    )
    seen = queued_data(run)
    assert seen is not None
    assert (seen.samples, seen.established, seen.unread_sockets) == (2, 64, 3)
    assert (seen.unread_bytes, seen.unsent_bytes, seen.client_unsent_bytes) == (200, 100, 8)
    assert (seen.unsent_sockets, seen.close_wait) == (3, 1)
    old = queued_data(run_with("sockets", SocketSample(64, 2, 100, 50, 7, 0, 511)))
    assert old is not None
    assert old.unsent_sockets is None


# -- threads ------------------------------------------------------------------------------------


def threads_over_time(*rows: tuple[ThreadSample, ...]) -> Run:
    """One process with these threads, a second apart."""
    return run_of(
        Sample(WINDOW + second, HOST, (process(threads=row),)) for second, row in enumerate(rows)
    )


def test_where_threads_sleep() -> None:
    run = threads_over_time(
        (thread(7, wait_channel="ep_poll"), thread(8, wait_channel="futex_wait_queue")),
        (thread(7), thread(8)),
        (thread(7, state="R"), thread(8, wait_channel="futex_wait_queue")),
        (thread(7, state="R"), thread(8, wait_channel="ep_poll")),
        (thread(7), thread(8, wait_channel="futex_do_wait")),
    )
    first, second = wait_channels(run)
    assert (first.pid, first.tid, first.process, first.name, first.asleep) == (
        *(7, 8, "server", "main", 4),
    )
    assert first.channels == {"futex_wait_queue": 0.5, "ep_poll": 0.25, "futex_do_wait": 0.25}
    assert first.share("futex") == 0.75
    assert first.share("futex", "ep_poll") == 1.0
    assert first.share("nanosleep") == 0.0
    assert (second.tid, second.asleep, second.channels) == (7, 1, {"ep_poll": 1.0})


def test_switches_per_second() -> None:
    run = threads_over_time(
        (thread(7, voluntary_switches=100, involuntary_switches=5),),
        (thread(7),),
        (thread(7, voluntary_switches=700, involuntary_switches=9), thread(8)),
        (thread(9, voluntary_switches=10, involuntary_switches=0),),
    )
    (row,) = switches(run)
    assert (row.tid, row.voluntary, row.involuntary) == (7, 300.0, 2.0)


def test_a_thread_number_that_was_given_again() -> None:
    run = threads_over_time(
        (thread(7, voluntary_switches=900, involuntary_switches=0),),
        (thread(7, voluntary_switches=10, involuntary_switches=0),),
        (thread(7, voluntary_switches=30, involuntary_switches=0),),
    )
    (row,) = switches(run)
    assert row.voluntary == 20.0


def test_threads_that_are_read_less_often_than_processes() -> None:
    """Rates count from the first to the last reading of the threads."""
    rows: list[tuple[ThreadSample, ...]] = [()] * 6
    rows[1] = (thread(run_s=1.0, wait_s=0.0),)
    rows[3] = (thread(run_s=2.0, wait_s=0.5),)
    used = usage(threads_over_time(*rows))
    assert used is not None
    (row,) = used.threads
    assert (row.running, row.waiting) == (0.5, 0.25)


# -- processes ----------------------------------------------------------------------------------


def test_forks_and_what_they_cost() -> None:
    grandchild = process(8, children_user_s=9.0)
    run = run_of(
        [
            Sample(WINDOW, HOST, (process(children_user_s=1.0),), forks=10),
            Sample(WINDOW + 1, HOST, (process(children_user_s=1.5), grandchild), forks=14),
            Sample(WINDOW + 2, HOST, (process(children_user_s=2.0, children_system_s=1.0),)),
            Sample(
                WINDOW + 4,
                HOST,
                (process(children_user_s=2.0, children_system_s=1.0),),
                forks=50,
            ),
        ]
    )
    assert forks(run) == Forks(4.0, 40, True, 0.5)


def test_forks_that_were_looked_for_only() -> None:
    run = run_of(
        Sample(WINDOW + second, HOST, (process(),), forks=second, forks_at_least=True)
        for second in range(3)
    )
    assert forks(run) == Forks(2.0, 2, False, 0.0)


# -- host ---------------------------------------------------------------------------------------


def test_pressure_as_shares_of_time() -> None:
    run = run_with(
        "pressure",
        PressureSample(1.0, 2.0, 3.0, 4.0, 5.0),
        None,
        PressureSample(2.0, 2.5, 3.0, 4.25, 5.125),
    )
    assert pressure(run) == PressureUse(2.0, 0.5, 0.25, 0.0, 0.125, 0.0625)


def test_a_group_that_was_throttled() -> None:
    run = run_with(
        "cgroup",
        CgroupSample(0.5, 100, 10, 1.0, 5000, 6000, 9000, 0),
        CgroupSample(0.5, 120, 25, 2.5, 5500, 7000, 9000, 1),
    )
    seen = cgroup(run)
    assert seen == CgroupUse(1.0, 0.5, 20, 15, 1.5, 5500, 7000, 9000, 1)
    assert seen.throttled_share == 0.75


def test_a_group_without_limits() -> None:
    sample = CgroupSample(-1.0, 0, 0, 0.0, 5000, -1, -1, 0)
    seen = cgroup(run_with("cgroup", sample, sample))
    assert seen == CgroupUse(1.0, None, 0, 0, 0.0, 5000, None, None, 0)
    assert seen.throttled_share is None


def test_a_server_that_moved_to_another_group() -> None:
    run = run_with(
        "cgroup",
        CgroupSample(0.5, 100, 10, 1.0, 5000, 6000, 9000, 0),
        CgroupSample(0.5, 3, 0, 0.0, 5500, 7000, 9000, 0),
    )
    assert cgroup(run) is None


# -- too little ---------------------------------------------------------------------------------

NETWORK = NetworkSample(1, 1, 1, 1, 1, 1, 1)
GROUP = CgroupSample(0.5, 1, 1, 1.0, 1, 1, 1, 0)


@pytest.mark.parametrize(
    ("derive", "field", "value"),
    [
        (network, "network", NETWORK),
        (pressure, "pressure", PressureSample(0, 0, 0, 0, 0)),
        (cgroup, "cgroup", GROUP),
        (forks, "forks", 5),
    ],
)
def test_one_reading_is_not_enough(
    derive: Callable[[Run], object], field: str, value: object
) -> None:
    assert derive(run_with(field, value)) is None
    assert derive(run_of([])) is None
    assert derive(run_of([Sample(WINDOW, HOST, ()), Sample(WINDOW + 1, HOST, ())])) is None


@pytest.mark.parametrize("derive", [accept_queue, queued_data, phase_peak, proportional_memory])
def test_nothing_was_read(derive: Callable[[Run], object]) -> None:
    assert derive(run_of([])) is None
    assert derive(run_of([Sample(WINDOW, HOST, ())])) is None


@pytest.mark.parametrize("derive", [wait_channels, switches])
def test_threads_without_details(derive: Callable[[Run], object]) -> None:
    assert derive(threads_over_time((thread(),), (thread(),))) == ()


def test_phases_that_did_not_come() -> None:
    run = run_with("network", NETWORK, NETWORK)
    assert network(run, "profile") is None
    assert phase_peak(run, "profile") is None
    assert accept_queue(run, "profile") is None


# -- peaks --------------------------------------------------------------------------------------


def peaks(*rows: tuple[float, tuple[ProcessSample, ...]]) -> Run:
    """Samples at seconds after the start of the window."""
    return run_of(Sample(WINDOW + after, HOST, processes) for after, processes in rows)


def test_the_kernels_peak_of_the_phase() -> None:
    """The last row is the sample that closes the phase: its peak still counts."""
    run = peaks(
        (-1.0, (process(rss=9, peak=900),)),
        (0.0, (process(rss=10, peak=900),)),
        (0.1, (process(rss=10, peak=12, peak_since=WINDOW + 0.05),)),
        (DRAIN - WINDOW + 0.1, (process(rss=10, peak=70, peak_since=WINDOW + 0.05),)),
        (DRAIN - WINDOW + 0.2, (process(rss=99, peak=99, peak_since=DRAIN + 0.15),)),
    )
    assert phase_peak(run) == PhasePeak(70, 1, exact=True)


def test_without_a_reset_the_samples_are_all_that_is_known() -> None:
    run = peaks(
        (-1.0, (process(rss=9, peak=900),)),
        (1.0, (process(rss=10, peak=900),)),
        (2.0, (process(rss=30, peak=900),)),
    )
    assert phase_peak(run) == PhasePeak(30, 1, exact=False)


def test_a_reset_in_the_middle_of_a_phase_is_not_exact() -> None:
    run = peaks(
        (-1.0, (process(rss=9, peak=900),)),
        (1.0, (process(rss=50, peak=900),)),
        (3.0, (process(rss=10, peak=20, peak_since=WINDOW + 2.0),)),
    )
    assert phase_peak(run) == PhasePeak(50, 1, exact=False)


def test_a_process_that_began_in_the_phase() -> None:
    run = peaks(
        (-1.0, (process(rss=9, peak=9),)),
        (1.0, (process(rss=9, peak=9, peak_since=WINDOW), process(8, rss=5, peak=40))),
    )
    assert phase_peak(run) == PhasePeak(49, 2, exact=True)


def test_memory_that_is_shared_counts_once() -> None:
    run = peaks(
        (0.0, (process(rss=100, pss=60), process(8, rss=100), process(9, rss=7, pss=7))),
        (1.0, (process(rss=110), process(8, rss=100, pss=50), process(10, rss=1))),
    )
    assert proportional_memory(run) == ProportionalMemory(110, 200, 2, missing=1)
