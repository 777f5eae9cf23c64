"""What the host and its control groups let the server have during a phase."""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.model.run import Run


@dataclass(frozen=True, slots=True)
class PressureUse:
    """Shares of the time, 0.0 to 1.0, in which some or all work of the host waited."""

    seconds: float
    cpu_some: float
    io_some: float
    io_full: float
    memory_some: float
    memory_full: float


def pressure(run: Run, phase: str = "window") -> PressureUse | None:
    """Between the first and the last reading in a phase; None with fewer than two."""
    rows = [
        (sample.t, sample.pressure)
        for sample in run.samples_in(phase)
        if sample.pressure is not None
    ]
    if len(rows) < 2 or rows[-1][0] <= rows[0][0]:
        return None
    (began, first), (ended, last) = rows[0], rows[-1]
    seconds = ended - began
    return PressureUse(
        seconds=seconds,
        cpu_some=(last.cpu_some_s - first.cpu_some_s) / seconds,
        io_some=(last.io_some_s - first.io_some_s) / seconds,
        io_full=(last.io_full_s - first.io_full_s) / seconds,
        memory_some=(last.memory_some_s - first.memory_some_s) / seconds,
        memory_full=(last.memory_full_s - first.memory_full_s) / seconds,
    )


@dataclass(frozen=True, slots=True)
class CgroupUse:
    """The tightest control group above the server over a phase.

    quota_cores: None without a quota. periods, throttled_periods: scheduling periods (100 ms each,
    most often) in which the group ran, and in which it was stopped for the rest of the period;
    throttled_s: how long its threads were stopped, summed over cores. memory_*: bytes at the end,
    None where the group does not tell or has no limit. The peak counts from the group's beginning.
    """

    seconds: float
    quota_cores: float | None
    periods: int
    throttled_periods: int
    throttled_s: float
    memory_bytes: int | None
    memory_peak: int | None
    memory_limit: int | None
    oom_kills: int

    @property
    def throttled_share(self) -> float | None:
        """The share of its periods in which the group was stopped; None when it did not run."""
        return self.throttled_periods / self.periods if self.periods else None


def cgroup(run: Run, phase: str = "window") -> CgroupUse | None:
    """Between the first and the last reading in a phase; None with fewer than two, without a
    group, or when the server moved to another one."""
    rows = [
        (sample.t, sample.cgroup) for sample in run.samples_in(phase) if sample.cgroup is not None
    ]
    if len(rows) < 2 or rows[-1][0] <= rows[0][0]:
        return None
    (began, first), (ended, last) = rows[0], rows[-1]
    periods = last.periods - first.periods
    throttled = last.throttled_periods - first.throttled_periods
    kills = last.oom_kills - first.oom_kills
    if min(periods, throttled, kills) < 0 or last.throttled_s < first.throttled_s:
        return None
    return CgroupUse(
        seconds=ended - began,
        quota_cores=last.quota_cores if last.quota_cores > 0 else None,
        periods=periods,
        throttled_periods=throttled,
        throttled_s=last.throttled_s - first.throttled_s,
        memory_bytes=_known(last.memory_bytes),
        memory_peak=_known(last.memory_peak),
        memory_limit=_known(last.memory_limit),
        oom_kills=kills,
    )


def _known(value: int) -> int | None:
    return value if value >= 0 else None
