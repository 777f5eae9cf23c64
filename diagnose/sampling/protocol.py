"""What the sampler process is told, and what it says: one line of JSON each."""

from __future__ import annotations

import msgspec

# A line on the sampler's standard input: a phase begins.
MARK = b"phase"


class SamplerPlan(msgspec.Struct, frozen=True):
    """root: the process whose descendants are sampled; include_root: itself as well.

    reset_peaks: the peak RSS of each process is reset when a phase begins; only for a server that
    was launched. window_s: how long the measured window is: costly things are read some times in
    it, though that is a greater share of a core in a short one.
    """

    root: int
    include_root: bool
    port: int
    path: str
    rate_hz: float
    reset_peaks: bool = False
    window_s: float = 5.0


class SamplerStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """What each sample comes to: for the live display and the memory guard.

    In the last one only, rate_hz: the mean rate of samples since they first cost too much;
    remarks: what was read less often than it should have been and why, and what was not read.
    """

    t: float
    processes: int
    threads: int
    rss: int
    held: int
    available: int
    cpu_s: float
    rate_hz: float = 0.0
    remarks: tuple[str, ...] = ()
