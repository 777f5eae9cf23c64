"""Servers that idle beside their connections to others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from diagnose.model.load import TemplateResult
from diagnose.model.run import ProbeCheck, Run
from diagnose.model.samples import PeerSample
from tests.analysis.working import with_peers
from tests.builders import (
    CONNECT,
    WINDOW_S,
    Process,
    Sockets,
    Thread,
    flat,
    make_host,
    make_latency,
    make_load,
    make_run,
    make_samples,
    make_ticks,
)


def asking(
    *peers: PeerSample,
    unread: float = 0,
    busy: float = 0.05,
    unloaded_s: float = 0.02,
    rps: float = 400.0,
    looked: bool = True,
    every: int = 20,
    later: tuple[PeerSample, ...] | None = None,
    **changes: Any,
) -> Run:
    """A server on two cores, 64 requests in flight, with connections to others.

    busy: of each of its two threads; unread: requests that lie in its sockets; later: the peers
    from the middle of the window on.
    """
    threads = (Thread(1, busy), Thread(2, busy))
    samples = make_samples(
        (Process(threads=threads),),
        host_busy=(busy, busy, 0.16, 0.16),
        sockets=Sockets(64, unread_sockets=flat(unread)),
    )
    if looked:
        half = CONNECT + 1.5 + WINDOW_S / 2
        samples = with_peers(
            samples, lambda t: later if later is not None and t > half else peers, every
        )
    count = int(rps * WINDOW_S)
    load = make_load(
        responses=count,
        ok=count,
        templates=(TemplateResult("get", count, 0, make_latency(count)),),
    )
    probes = (
        ProbeCheck("plain", "get", "pass", "", unloaded_s),
        ProbeCheck("kept", "get", "pass", "", unloaded_s),
    )
    return make_run(
        samples=samples,
        ticks=make_ticks(rps=rps),
        load=replace(load, **changes.pop("load", {})),
        probes=probes,
        host=make_host(4),
        **changes,
    )
