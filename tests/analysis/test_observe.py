"""What samples and ticks amount to: threads, cores, memory, counters over time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.analysis.observe import (
    TickSeries,
    Usage,
    bodies_in_server,
    measured_ticks,
    memory,
    usage,
)
from diagnose.model.load import LoadTick
from diagnose.model.run import PhaseSpan, Run
from diagnose.model.samples import HostSample, Sample
from tests.builders import (
    COOLDOWN,
    DRAIN,
    IDLE,
    MIB,
    PROBE,
    SERVER_PID,
    WARMUP,
    WINDOW,
    WINDOW_S,
    Curve,
    Process,
    Sockets,
    Thread,
    flat,
    make_host,
    make_phases,
    make_run,
    make_samples,
    make_ticks,
    ramp,
    two_workers,
    under_load,
)


def used(*processes: Process, **options: Any) -> Usage:
    """The usage of processes over the window."""
    found = usage(make_run(samples=make_samples(processes, **options)))
    assert found is not None
    return found


class TestUsage:
    """Threads, processes and cores over one stretch."""

    def test_of_a_healthy_server(self) -> None:
        seen = used(*two_workers(0.9), host_busy=(0.95, 0.85, 0.3, 0.2), sampler_cores=0.02)
        assert seen.seconds == pytest.approx(WINDOW_S)
        assert seen.samples == 101
        assert seen.largest_gap_s == pytest.approx(0.05)
        assert seen.server_cores == pytest.approx(1.8)
        assert seen.host_busy == pytest.approx((0.95, 0.85, 0.3, 0.2))
        assert seen.idle == pytest.approx(0.05 + 0.15)
        assert seen.sampler_cores == pytest.approx(0.02)
        assert seen.processes == 3
        assert seen.busy == pytest.approx(1.8)

    def test_threads_come_busiest_first_with_their_names(self) -> None:
        seen = used(
            Process(1, (Thread(1, 0.2, name="gc"), Thread(2, 0.1, 0.6, name="loop")), name="node")
        )
        assert [(use.tid, use.name, use.process) for use in seen.threads] == [
            (2, "loop", "node"),
            (1, "gc", "node"),
        ]
        assert seen.threads[0].running == pytest.approx(0.1)
        assert seen.threads[0].waiting == pytest.approx(0.6)
        assert seen.threads[0].busy == pytest.approx(0.7)

    def test_threads_of_two_processes_may_have_one_number(self) -> None:
        """In containers with a PID namespace each, they do."""
        seen = used(Process(1, (Thread(7, 0.3),)), Process(2, (Thread(7, 0.4),)))
        assert [use.pid for use in seen.threads] == [2, 1]
        assert seen.busy == pytest.approx(0.7)

    def test_a_thread_that_appears_counts_from_its_birth(self) -> None:
        late = Thread(8, 1.0, born=WINDOW + 2.5)
        use, _ = used(Process(1, (Thread(1), late))).threads
        assert use.busy == pytest.approx(0.5, abs=0.011)

    def test_a_thread_that_ends_counts_until_it_was_last_seen(self) -> None:
        early = Thread(8, 1.0, died=WINDOW + 2.0)
        use, _ = used(Process(1, (Thread(1), early))).threads
        assert use.busy == pytest.approx(0.4, abs=0.011)

    def test_cpu_time_of_ended_threads_is_in_the_process(self) -> None:
        seen = used(Process(1, (Thread(1, 0.5),), unseen=2.0))
        assert seen.busy == pytest.approx(0.5)
        assert seen.server_cores == pytest.approx(2.5)

    def test_a_process_that_appears_counts_from_its_birth(self) -> None:
        worker = Process(2, (Thread(2, 1.0, born=WINDOW + 2.5),), born=WINDOW + 2.5)
        seen = used(Process(1, (Thread(1, 0.5),)), worker)
        assert seen.server_cores == pytest.approx(1.0)
        assert seen.processes == 2

    @pytest.mark.parametrize("every", [1, 2, 5])
    def test_samples_without_thread_details_change_nothing(self, every: int) -> None:
        seen = used(*two_workers(0.9), threads_every=every)
        assert [use.running for use in seen.threads] == pytest.approx([0.9, 0.9, 0.0])

    def test_details_in_one_sample_only_are_none(self) -> None:
        assert used(*two_workers(0.9), threads_every=95).threads == ()

    def test_a_gap_is_reported_and_does_not_change_the_shares(self) -> None:
        samples = [s for s in make_samples() if not WINDOW + 1 < s.t < WINDOW + 3]
        seen = usage(make_run(samples=samples))
        assert seen is not None
        assert seen.largest_gap_s == pytest.approx(2.0, abs=0.051)
        assert seen.server_cores == pytest.approx(1.9)
        assert seen.threads[0].busy == pytest.approx(0.95)

    def test_unread_sockets_are_a_mean_over_the_samples_that_have_sockets(self) -> None:
        sockets = Sockets(unread_sockets=ramp((WINDOW, 0), (DRAIN, 12)))
        samples = [
            sample if number % 4 == 0 else msgspec.structs.replace(sample, sockets=None)
            for number, sample in enumerate(make_samples(sockets=sockets))
        ]
        seen = usage(make_run(samples=samples))
        assert seen is not None
        assert seen.unread_sockets == pytest.approx(6.0, abs=0.3)

    def test_unread_sockets_are_unknown_without_sockets(self) -> None:
        assert used(*two_workers(), sockets=None).unread_sockets is None

    def test_only_the_phase_that_was_asked_for_counts(self) -> None:
        busy_late = Process(1, (Thread(1, 1.0, born=WARMUP),))
        run = make_run(samples=make_samples((busy_late,)))
        idle, window = usage(run, "idle"), usage(run)
        assert idle is not None
        assert window is not None
        assert idle.server_cores == 0.0
        assert window.server_cores == pytest.approx(1.0)

    def test_a_core_is_never_more_than_idle_or_less_than_busy(self) -> None:
        """Ticks of /proc/stat are coarse: a core may come out above 1."""
        assert used(*two_workers(), host_busy=(1.02, 0.9, 0, 0)).idle == pytest.approx(0.1)

    @pytest.mark.parametrize("count", [0, 1])
    def test_fewer_than_two_samples_are_nothing(self, count: int) -> None:
        samples = [sample for sample in make_samples() if sample.t > WINDOW][:count]
        assert usage(make_run(samples=samples)) is None

    def test_two_samples_of_one_moment_are_nothing(self) -> None:
        twice = [sample for sample in make_samples() if sample.t > WINDOW][:1] * 2
        assert usage(make_run(samples=twice)) is None

    def test_a_phase_that_never_came_is_nothing(self) -> None:
        assert usage(make_run(phases=make_phases()[:3])) is None

    def test_a_phase_that_did_not_end_reaches_to_the_last_sample(self) -> None:
        run = make_run(phases=(PhaseSpan("window", DRAIN),))
        seen = usage(run)
        assert seen is not None
        assert seen.seconds == pytest.approx(run.samples[-1].t - DRAIN)

    def test_cores_that_appear_or_vanish_are_left_out(self) -> None:
        samples = list(make_samples())
        last = samples[-1]
        more = HostSample((*last.host.busy_s, 5.0), 0.0, 0)
        samples = [*samples[:-1], msgspec.structs.replace(last, t=DRAIN, host=more)]
        seen = usage(make_run(samples=samples))
        assert seen is not None
        assert len(seen.host_busy) == 4

    def test_no_more_is_idle_than_the_server_left(self) -> None:
        """The kernel counts idle time in ticks, that of processes exactly."""
        assert used(*two_workers(0.7), host_busy=(0.2, 0.2, 0, 0)).idle == pytest.approx(0.6)

    def test_cpu_numbers_without_a_core_do_not_raise(self) -> None:
        samples = make_samples(two_workers(0.25), host_busy=(0.5, 0.5))
        seen = usage(make_run(samples=samples, host=make_host(server=(0, 7))))
        assert seen is not None
        assert seen.idle == pytest.approx(0.5)

    def test_a_process_that_ends_counts_until_it_was_last_seen(self) -> None:
        ending = Process(2, (Thread(2, 1.0),), died=WINDOW + 2.5)
        seen = used(Process(1, (Thread(1, 0.5),)), ending)
        assert seen.server_cores == pytest.approx(1.0, abs=0.02)

    def test_a_number_that_is_given_again_is_another_thread(self) -> None:
        first = Thread(7, 1.0, died=WINDOW + 2)
        second = Thread(7, 0.5, born=WINDOW + 2)
        seen = used(Process(1, (first, second)))
        assert all(use.running >= 0 for use in seen.threads)

    def test_a_number_that_is_given_again_counts_from_zero(self) -> None:
        first = Thread(7, 1.0, died=WINDOW + 2)
        second = Thread(7, 0.5, born=WINDOW + 2)
        seen = used(Process(1, (first, second)))
        assert seen.busy >= 0.29


class TestMemory:
    """Held memory before and under load."""

    def view(self, curve: Curve, **changes: Any) -> Run:
        """A run whose server holds that much."""
        return make_run(samples=make_samples((Process(anonymous=curve),)), **changes)

    def test_of_a_server_that_grows_and_gives_back(self) -> None:
        seen = memory(self.view(under_load(100 * MIB, 300 * MIB, 150 * MIB)))
        assert seen is not None
        assert seen.baseline == 100 * MIB
        assert seen.peak == 300 * MIB
        assert WINDOW + 2.5 <= seen.peak_t <= WINDOW + 2.6
        assert seen.growth == 200 * MIB
        assert seen.final == 150 * MIB

    def test_the_baseline_is_the_last_moment_of_the_idle_phase(self) -> None:
        seen = memory(self.view(ramp((IDLE, 0), (PROBE, 100 * MIB), (PROBE + 0.1, 500 * MIB))))
        assert seen is not None
        assert seen.baseline == pytest.approx(100 * MIB, rel=0.01)

    def test_the_cool_down_is_not_under_load(self) -> None:
        seen = memory(self.view(ramp((COOLDOWN + 0.1, MIB), (COOLDOWN + 0.2, 900 * MIB))))
        assert seen is not None
        assert seen.growth == 0

    def test_the_slope_is_that_of_the_second_half_of_the_window(self) -> None:
        middle = WINDOW + WINDOW_S / 2
        curve = ramp((WINDOW, 0), (middle, 900 * MIB), (DRAIN, 1000 * MIB))
        seen = memory(self.view(curve))
        assert seen is not None
        assert seen.window_slope == pytest.approx(100 * MIB / 2.5, rel=0.01)

    def test_anonymous_and_shared_memory_of_all_processes_counts(self) -> None:
        processes = (
            Process(1, anonymous=flat(5), shared=flat(70), file=flat(1000)),
            Process(2, anonymous=flat(300), shared=flat(0), file=flat(1000)),
        )
        seen = memory(make_run(samples=make_samples(processes)))
        assert seen is not None
        assert seen.baseline == 375

    def test_a_load_that_gave_no_result_is_still_under_load(self) -> None:
        phases = (*make_phases()[:4], PhaseSpan("load", WARMUP, COOLDOWN))
        seen = memory(self.view(under_load(0, 300 * MIB), phases=phases))
        assert seen is not None
        assert seen.growth == 300 * MIB

    @pytest.mark.parametrize(
        ("start", "end"),
        [
            pytest.param(WARMUP, 1e9, id="nothing before"),
            pytest.param(IDLE, WARMUP - 0.01, id="nothing under load"),
            pytest.param(IDLE, WARMUP + 0.01, id="one sample under load"),
        ],
    )
    def test_nothing_without_samples_of_both(self, start: float, end: float) -> None:
        samples = [sample for sample in make_samples() if start <= sample.t < end]
        assert memory(make_run(samples=samples)) is None

    def test_a_server_that_is_gone_holds_nothing(self) -> None:
        process = Process(anonymous=flat(100 * MIB), died=WINDOW + 1)
        seen = memory(make_run(samples=make_samples((process,))))
        assert seen is not None
        assert seen.final == 0
        assert seen.growth == 0


def tick(t: float, worker: int, responses: int) -> LoadTick:
    """A tick of which only the responses matter."""
    return msgspec.structs.replace(
        make_ticks(end=WARMUP + 0.05)[0], t=t, worker=worker, responses=responses
    )


class TestTickSeries:
    """A counter as a function of time."""

    ticks = (tick(1.0, 0, 0), tick(1.5, 1, 100), tick(2.0, 0, 10), tick(2.5, 1, 300))

    @pytest.mark.parametrize(
        ("t", "value"),
        [
            pytest.param(0.0, 0 + 100, id="before all"),
            pytest.param(1.0, 0 + 100, id="at the first tick"),
            pytest.param(1.5, 5 + 100, id="between and at"),
            pytest.param(1.75, 7.5 + 150, id="between both"),
            pytest.param(2.0, 10 + 200, id="at and between"),
            pytest.param(2.25, 10 + 250, id="after the last of one worker"),
            pytest.param(9.0, 10 + 300, id="after all"),
        ],
    )
    def test_interpolates_and_sums_over_workers(self, t: float, value: float) -> None:
        assert TickSeries(self.ticks, "responses").at(t) == pytest.approx(value)

    def test_a_second_tick_of_one_moment_is_left_out(self) -> None:
        series = TickSeries((tick(1.0, 0, 0), tick(2.0, 0, 10), tick(2.0, 0, 99)), "responses")
        assert series.at(3.0) == 10

    def test_without_ticks_is_zero(self) -> None:
        assert TickSeries((), "responses").at(1.0) == 0.0

    @settings(max_examples=60, deadline=None)
    @given(
        steps=st.lists(
            st.tuples(st.floats(0.001, 1.0), st.integers(0, 1000)), min_size=1, max_size=20
        ),
        moments=st.lists(st.floats(0.0, 25.0), min_size=2, max_size=5),
    )
    def test_a_counter_that_grows_never_falls(
        self, steps: list[tuple[float, int]], moments: list[float]
    ) -> None:
        t, responses = 0.0, 0
        ticks = []
        for pause, more in steps:
            t, responses = t + pause, responses + more
            ticks.append(tick(t, 0, responses))
        series = TickSeries(ticks, "responses")
        values = [series.at(moment) for moment in sorted(moments)]
        assert values == sorted(values)
        assert ticks[0].responses <= values[0] <= values[-1] <= responses


class TestBodies:
    """Body bytes that the server has read and not answered."""

    def run_with(self, sent: float, unread: float, unsent: float) -> Run:
        """Constant figures under load."""
        sockets = Sockets(unread_bytes=flat(unread), client_unsent_bytes=flat(unsent))
        return make_run(
            samples=make_samples((Process(anonymous=flat(7)),), sockets=sockets),
            ticks=make_ticks(body_in_flight=flat(sent), workers=2),
        )

    def test_queued_bytes_are_subtracted(self) -> None:
        rows = bodies_in_server(self.run_with(100 * MIB, 30 * MIB, 20 * MIB))
        assert {row[1] for row in rows} == {50 * MIB}
        assert {row[2] for row in rows} == {7}

    def test_never_fewer_than_none(self) -> None:
        rows = bodies_in_server(self.run_with(10, 30, 20))
        assert {row[1] for row in rows} == {0.0}

    def test_only_moments_under_load_count(self) -> None:
        moments = [row[0] for row in bodies_in_server(self.run_with(100, 0, 0))]
        assert min(moments) >= WARMUP
        assert max(moments) <= COOLDOWN
        assert len(moments) == pytest.approx((COOLDOWN - WARMUP) * 20, abs=1)

    def test_samples_without_sockets_are_left_out(self) -> None:
        run = make_run(
            samples=[
                msgspec.structs.replace(sample, sockets=sample.sockets if n % 4 == 0 else None)
                for n, sample in enumerate(make_samples())
            ],
        )
        assert len(bodies_in_server(run)) == pytest.approx((COOLDOWN - WARMUP) * 5, abs=1)

    def test_nothing_without_ticks(self) -> None:
        assert bodies_in_server(make_run(ticks=())) == []


def test_ticks_of_the_profiled_load_are_not_measured() -> None:
    late = make_ticks(start=COOLDOWN, end=COOLDOWN + 0.5)
    run = make_run(ticks=[*make_ticks(), *late], phases=make_phases(profiled=True))
    assert measured_ticks(run) == make_ticks()
    assert len(measured_ticks(make_run(ticks=run.ticks))) == len(run.ticks)


def test_a_moment_without_processes_is_a_sample_too() -> None:
    """The server is gone, the host goes on."""
    samples = [
        Sample(WINDOW + n / 20, HostSample((n * 0.05,), 0.0, 0), (), None, (), 0.0)
        for n in range(20)
    ]
    seen = usage(make_run(samples=samples))
    assert seen is not None
    assert seen.server_cores == 0.0
    assert seen.threads == ()
    assert seen.host_busy == pytest.approx((1.0,))


def test_the_server_pid_is_that_of_the_builders() -> None:
    assert make_samples()[0].processes[0].pid == SERVER_PID
