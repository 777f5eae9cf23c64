"""Healthy servers where rules slip."""

from __future__ import annotations

import dataclasses
import sys

from reference_server.gallery import c, go
from reference_server.gallery.case import HERE, PORT, Case, Group

# The reference server's own cases carry its name.
REFERENCE = (sys.executable, "-m", "reference_server", "--port", PORT)
# No run takes longer; the companion ends with it in any case.
HOG_S = 120
HOG = (sys.executable, "-m", "reference_server.gallery.sources.python.cpu_hog", str(HOG_S))


def _edge_server(edge: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "reference_server.gallery.edge_server", edge, PORT)


HEALTHY = Case(
    name="reference",
    group=Group.HEALTHY,
    runtime="python",
    title="the reference server",
    command=REFERENCE,
    healthy=True,
    scenario="baseline",
    connections=64,
    false_findings=("single_threaded", "worker_imbalance", "low_cpu", "gil_bound"),
)
CASES = (
    HEALTHY,
    dataclasses.replace(
        HEALTHY,
        name="reference_streaming",
        title="the reference server; counts an upload while it arrives",
        scenario="upload-20mb",
        connections=256,
        false_findings=("body_buffered", "body_copied", "memory_blowup", "memory_per_connection"),
    ),
    dataclasses.replace(
        HEALTHY,
        name="idle",
        group=Group.EDGE,
        title="the reference server, asked 50 times a second",
        run_options=("--rate", "50"),
        connections=8,
        # 50 answers a second are few for a percentile.
        possible_findings=("too_few_samples",),
        false_findings=("low_cpu", "single_threaded", "downstream_wait", "blocking_event_loop"),
    ),
    dataclasses.replace(
        HEALTHY,
        name="one_connection",
        group=Group.EDGE,
        title="the reference server with one connection",
        connections=1,
        false_findings=("low_cpu", "single_threaded", "worker_imbalance", "connection_cap"),
    ),
    dataclasses.replace(
        HEALTHY,
        name="reference_4096",
        group=Group.EDGE,
        title="the reference server with 4096 connections",
        connections=4096,
        false_findings=("connection_cap", "accept_bottleneck", "memory_per_connection", "unfair"),
    ),
    dataclasses.replace(
        HEALTHY,
        name="full_cpu",
        group=Group.EDGE,
        title="the reference server, all cores at work on JSON",
        scenario="json",
        connections=512,
        false_findings=("busy_spin", "cpu_without_progress", "cpu_quota", "recompute_per_request"),
    ),
    Case(
        name="full_cpu_native",
        group=Group.EDGE,
        runtime="c",
        title="all cores at work, 0.1 ms for each request, without a lock",
        command=c.COMMAND,
        recipe=c.recipe("-DWORK_US=100"),
        needs=c.NEEDS,
        healthy=True,
        scenario="baseline",
        connections=64,
        possible_findings=("slower_than_reference",),
        false_findings=("lock_contention", "busy_spin", "cpu_without_progress", "cpu_quota"),
    ),
    dataclasses.replace(
        HEALTHY,
        name="large_memory",
        group=Group.EDGE,
        title="the reference server with 1 GiB that it took at its start",
        command=_edge_server("large_memory"),
        false_findings=("memory_blowup", "memory_leak", "memory_retained", "body_buffered"),
    ),
    dataclasses.replace(
        HEALTHY,
        name="parked_threads",
        group=Group.EDGE,
        title="the reference server with 200 threads that wait for what never comes",
        command=_edge_server("parked_threads"),
        false_findings=("thread_explosion", "lock_contention", "gil_bound", "downstream_wait"),
    ),
    Case(
        name="parked_threads_native",
        group=Group.EDGE,
        runtime="c",
        title="200 threads that never do anything beside one busy thread for each core",
        command=c.COMMAND,
        recipe=c.recipe("-DPARKED_THREADS=200"),
        needs=c.NEEDS,
        healthy=True,
        scenario="baseline",
        connections=64,
        false_findings=("thread_explosion", "lock_contention", "worker_imbalance"),
    ),
    dataclasses.replace(
        HEALTHY,
        name="starved",
        group=Group.EDGE,
        title="the reference server beside a program that takes a core",
        companion=HOG,
        # That is what is true of the measurement, and the reason to say no more.
        possible_findings=("host_noisy", "client_saturated", "slower_than_reference"),
        false_findings=("single_threaded", "low_cpu", "cpu_quota", "lock_contention"),
    ),
    Case(
        name="slow_handler",
        group=Group.EDGE,
        runtime="go",
        title="200 ms of CPU time for each request, spent on all cores",
        command=(f"{HERE}/server", PORT, "slow"),
        recipe=go.RECIPE,
        needs=go.NEEDS,
        healthy=True,
        scenario="baseline",
        connections=16,
        # Two cores answer ten times a second.
        possible_findings=("too_few_samples", "slower_than_reference"),
        false_findings=("hung", "stalls", "blocking_event_loop", "busy_spin", "low_cpu"),
    ),
    Case(
        name="go_4096",
        group=Group.EDGE,
        runtime="go",
        title="net/http with 4096 connections",
        command=(f"{HERE}/server", PORT),
        recipe=go.RECIPE,
        needs=go.NEEDS,
        healthy=True,
        scenario="baseline",
        connections=4096,
        possible_findings=("slower_than_reference",),
        false_findings=("connection_cap", "accept_bottleneck", "thread_explosion", "unfair"),
    ),
)
