"""Servers in C: one file, in which a switch of the compiler puts one thing wrong."""

from __future__ import annotations

from reference_server.gallery.building import Recipe
from reference_server.gallery.case import HERE, PORT, Case, Group, Needs

NEEDS = Needs(programs=("cc",))
COMMAND = (f"{HERE}/server", PORT)


def recipe(*switches: str) -> Recipe:
    """The server with these switches."""
    return Recipe(
        ("c/server.c",), (("cc", "-O2", "-g", "-pthread", *switches, "-o", "server", "server.c"),)
    )


CASES = (
    Case(
        name="c_epoll",
        group=Group.HEALTHY,
        runtime="c",
        title="a thread for each core, each with an epoll loop and a socket of its own",
        command=COMMAND,
        recipe=recipe(),
        needs=NEEDS,
        healthy=True,
        scenario="baseline",
        connections=256,
        false_findings=("single_threaded", "lock_contention", "worker_imbalance"),
    ),
    Case(
        name="c_streaming",
        group=Group.HEALTHY,
        runtime="c",
        title="counts an upload while it arrives",
        command=COMMAND,
        recipe=recipe(),
        needs=NEEDS,
        healthy=True,
        scenario="upload-20mb",
        connections=64,
        false_findings=("body_buffered", "memory_blowup", "memory_per_connection"),
    ),
    Case(
        name="c_single",
        group=Group.FAULT,
        runtime="c",
        title="one epoll loop, whatever the number of cores, 20 us of work for each request",
        command=COMMAND,
        # Without work the generator, not the loop, is the limit on two cores.
        recipe=recipe("-DTHREADS=1", "-DWORK_US=20"),
        needs=NEEDS,
        scenario="baseline",
        connections=64,
        true_findings=("single_threaded", "low_cpu"),
        possible_findings=("too_few_workers", "slower_than_reference"),
        false_findings=("lock_contention", "blocking_event_loop", "cpu_quota"),
    ),
    Case(
        name="c_global_lock",
        group=Group.FAULT,
        runtime="c",
        title="0.1 ms of work for each request with a mutex held that all threads share",
        command=COMMAND,
        recipe=recipe("-DWORK_US=100", "-DGLOBAL_LOCK"),
        needs=NEEDS,
        scenario="baseline",
        connections=64,
        true_findings=("lock_contention", "low_cpu"),
        # A mutex of glibc goes to who is there, not to who has waited longest.
        possible_findings=("slower_than_reference", "slow_tail", "unfair"),
        false_findings=("single_threaded", "gil_bound", "cpu_quota", "worker_imbalance"),
    ),
    Case(
        name="c_blocked_loop",
        group=Group.FAULT,
        runtime="c",
        title="each request blocks the loop of its thread for 20 ms, asleep",
        command=COMMAND,
        recipe=recipe("-DBLOCKS_US=20000"),
        needs=NEEDS,
        scenario="baseline",
        connections=64,
        true_findings=("blocking_event_loop", "low_cpu"),
        possible_findings=(
            *("too_few_workers", "slow_tail", "stalls", "unfair", "slower_than_reference"),
        ),
        false_findings=("delayed_ack", "lock_contention", "downstream_wait", "cpu_quota"),
    ),
    Case(
        name="c_nagle",
        group=Group.FAULT,
        runtime="c",
        title="head and body in two writes, with Nagle's algorithm on",
        command=COMMAND,
        recipe=recipe("-DNAGLE"),
        needs=NEEDS,
        scenario="baseline",
        connections=64,
        true_findings=("delayed_ack", "low_cpu"),
        possible_findings=("slower_than_reference",),
        false_findings=("blocking_event_loop", "downstream_wait", "lock_contention"),
    ),
    Case(
        name="c_backlog",
        group=Group.FAULT,
        runtime="c",
        title="room for 8 in the accept queue, and 2 ms for each connection that is accepted",
        command=COMMAND,
        recipe=recipe("-DBACKLOG=8", "-DACCEPT_US=2000"),
        needs=NEEDS,
        scenario="limited-conn",
        run_options=("--timeout", "2.5"),
        connections=64,
        true_findings=("accept_bottleneck",),
        possible_findings=(
            *("low_cpu", "hung", "slow_tail", "stalls", "unfair", "errors"),
            "slower_than_reference",
        ),
        false_findings=("connection_closed", "keepalive_capped", "connection_cap"),
    ),
    Case(
        name="c_buffered_body",
        group=Group.FAULT,
        runtime="c",
        title="keeps uploads in memory until they are answered",
        command=COMMAND,
        recipe=recipe("-DBUFFERED_BODY"),
        needs=NEEDS,
        scenario="upload-20mb",
        connections=64,
        true_findings=("body_buffered", "memory_blowup"),
        possible_findings=("slower_than_reference",),
        false_findings=("body_copied", "body_spooled", "memory_leak", "quadratic_body"),
    ),
)
