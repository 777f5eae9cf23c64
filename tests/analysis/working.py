"""Runs with what the rules of memory and work read: files, peers, profiles, calls, probes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from diagnose.model.load import TemplateResult
from diagnose.model.profile import Profile, ProfileNote
from diagnose.model.run import ProbeCheck, Run
from diagnose.model.samples import FilesSample, OpenFile, PeerSample, Sample
from tests.builders import (
    COOLDOWN,
    END,
    IDLE,
    WARMUP,
    Curve,
    Process,
    Thread,
    flat,
    make_latency,
    make_launch,
    make_load,
    make_phases,
    make_run,
    make_samples,
    make_ticks,
)

Files = Callable[[float], FilesSample | None]
Peers = Callable[[float], tuple[PeerSample, ...] | None]


def profile(
    stacks: Mapping[str, int], profiler: str = "perf", *, pid: int = 5001, runtime: str = "cpython"
) -> Profile:
    """A profile from collapsed stacks by weight."""
    weight = sum(stacks.values())
    note = ProfileNote(profiler, pid, runtime, 99, weight, 0, f"{profiler}-{pid}.folded")
    return Profile(note, tuple((tuple(key.split(";")), count) for key, count in stacks.items()))


def share_of(frame: str, share: float, rest: str = "srv;handle;work") -> dict[str, int]:
    """1000 samples, a share of them under one frame that `handle` called."""
    inside = round(1000 * share)
    return {f"srv;handle;{frame}": inside, rest: 1000 - inside}


def with_files(samples: Sequence[Sample], files: Files, every: int = 10) -> tuple[Sample, ...]:
    """The samples with open files in every n-th of them."""
    return tuple(
        msgspec.structs.replace(sample, files=files(sample.t)) if number % every == 0 else sample
        for number, sample in enumerate(samples)
    )


def with_peers(samples: Sequence[Sample], peers: Peers, every: int = 20) -> tuple[Sample, ...]:
    """The samples with connections to others in every n-th of them."""
    return tuple(
        msgspec.structs.replace(sample, downstream=peers(sample.t))
        if number % every == 0
        else sample
        for number, sample in enumerate(samples)
    )


def one_file(path: str, size: Curve, since: float = IDLE) -> Files:
    """One file, of a size over time."""

    def files(t: float) -> FilesSample:
        row = OpenFile(path, int(size(t)), since)
        return FilesSample((row,), 1, row.size)

    return files


def growing(per_response: float, rps: float = 1000.0) -> Curve:
    """A size that grows with the responses of the load."""
    return lambda t: per_response * rps * max(0.0, min(t, COOLDOWN) - WARMUP)


def templates(bodies: int = 1, length: float = 8000.0, responses: int = 5000) -> dict[str, Any]:
    """Changes of a load whose answers have so many different bodies of a length."""
    row = TemplateResult("get", responses, 0, make_latency(), bodies, length)
    return {"templates": (row,), "responses": responses, "ok": responses}


def leaking(
    memory: Curve,
    *,
    runtime: str = "cpython",
    rps: float = 1000.0,
    profiled: bool = False,
    **more: Any,
) -> Run:
    """A run whose memory is a curve, with responses at a steady rate."""
    process = Process(threads=(Thread(1, 0.9),), anonymous=memory)
    ticks = list(make_ticks(rps=rps))
    phases = make_phases(profiled=profiled)
    if profiled:
        again = make_ticks(rps=rps, start=COOLDOWN, end=COOLDOWN + 0.75)
        ticks += [msgspec.structs.replace(tick, phase="window") for tick in again]
    return make_run(
        samples=make_samples((process,), end=END),
        ticks=ticks,
        load=make_load(**more.pop("load", {})),
        launch=make_launch(runtimes={4242: runtime}),
        phases=phases,
        **more,
    )


def plain_probe(template: str = "get", **changes: Any) -> ProbeCheck:
    """A first answer on the idle server."""
    return replace(ProbeCheck("plain", template, "pass", "", 0.0004), **changes)


STILL = flat(64 * 2**20)
