"""Servers that leave cores idle, made of threads that sleep in certain places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from diagnose.model.load import Latency, TemplateResult
from diagnose.model.run import ProbeCheck, Run
from tests.builders import (
    SERVER_PID,
    WINDOW_S,
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
    make_run,
    make_samples,
    make_ticks,
)

FUTEX, EPOLL, SLEEP, READ = "futex_do_wait", "do_epoll_wait", "hrtimer_nanosleep", "wait_woken"
ACCEPT = "inet_csk_accept"


def threads(
    count: int,
    channel: str,
    *,
    running: float = 0.01,
    rest: str = "",
    switches: float = 20.0,
    first: int = SERVER_PID + 1,
    name: str = "pool",
    waiting: float = 0.0,
) -> tuple[Thread, ...]:
    """Equal threads that sleep in one place under load, and in another without."""
    return tuple(
        Thread(
            first + number, running, waiting, f"{name}-{number}",
            channel=channel, rest=rest or channel, switches=switches,
        )
        for number in range(count)
    )  # fmt: skip


def process(
    *members: Thread, pid: int = SERVER_PID, share: float = 1.0, parent: int = 1, name: str = "srv"
) -> Process:
    """A process that holds a share of the 64 connections."""
    held = connections_over(1, 64 * share)
    return Process(pid, members, name, descriptors=held, parent=parent)


def idle_cores(
    processes: Sequence[Process],
    *,
    unread: float = 0.0,
    unloaded_s: float | None = None,
    rps: float = 1000.0,
    runtime: str = "native",
    connections: int = 64,
    cores: int = 4,
    host_busy: Sequence[float] | None = None,
    kernel: Kernel | None = None,
    p50_s: float | None = None,
    **changes: Any,
) -> Run:
    """A run of these processes; the server's cores (half of all) have as much work as they do.

    unread: requests that lie unread; unloaded_s: what the probe measured.
    """
    used = sum(thread.running for one in processes for thread in one.threads)
    half = cores // 2
    busy = [min(1.0, used / half)] * half + [0.2] * (cores - half)
    latency = make_latency()
    if p50_s is not None:
        latency = Latency(5000, p50_s, p50_s, p50_s, p50_s * 1.2, 1.0, 1.0)
    responses = int(rps * WINDOW_S)
    load = make_load(
        responses=responses,
        ok=responses,
        latency=latency,
        templates=(TemplateResult("get", responses, 0, latency),),
    )
    pids = {one.pid: runtime for one in processes}
    probes = () if unloaded_s is None else (ProbeCheck("kept", "get", "pass", "", unloaded_s),)
    return make_run(
        **{
            "samples": make_samples(
                processes,
                host_busy=busy if host_busy is None else host_busy,
                sockets=Sockets(connections, unread_sockets=flat(unread)),
                kernel=kernel or Kernel(),
            ),
            "ticks": make_ticks(rps=rps, established=connections, in_flight=connections),
            "load": load,
            "launch": make_launch(runtimes=pids if runtime else {}),
            "probes": probes,
            "connections": connections,
            "host": make_host(cores),
            **changes,
        }
    )


def blind(run: Run) -> Run:
    """The places in which threads sleep could not be read: processes of another user."""
    samples = [
        msgspec.structs.replace(
            sample,
            processes=tuple(
                msgspec.structs.replace(
                    one,
                    threads=tuple(
                        msgspec.structs.replace(thread, wait_channel="") for thread in one.threads
                    ),
                )
                for one in sample.processes
            ),
        )
        for sample in run.samples
    ]
    return replace(run, samples=tuple(samples))
