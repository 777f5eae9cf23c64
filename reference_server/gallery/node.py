"""Servers on node's own http module."""

from __future__ import annotations

from reference_server.gallery.building import Recipe
from reference_server.gallery.case import HERE, Case, Group, Needs

NEEDS = Needs(programs=("node",))


def _script(name: str, *options: str) -> tuple[str, ...]:
    """The command; a script finds $PORT in its environment."""
    return ("node", *options, f"{HERE}/{name}.js")


def _recipe(name: str) -> Recipe:
    return Recipe(("node/contract.js", "node/serve.js", f"node/{name}.js"))


CASES = (
    Case(
        name="node_cluster",
        group=Group.HEALTHY,
        runtime="node",
        title="a process for each core (cluster)",
        command=_script("cluster"),
        recipe=_recipe("cluster"),
        needs=NEEDS,
        healthy=True,
        scenario="baseline",
        connections=256,
        false_findings=("single_threaded", "worker_imbalance", "accept_bottleneck"),
    ),
    Case(
        name="node_cluster_streaming",
        group=Group.HEALTHY,
        runtime="node",
        title="a process for each core; counts an upload while it arrives",
        command=_script("cluster"),
        recipe=_recipe("cluster"),
        needs=NEEDS,
        healthy=True,
        scenario="upload-20mb",
        connections=64,
        false_findings=("body_buffered", "body_copied", "memory_blowup", "gc_pressure"),
    ),
    Case(
        name="node_single",
        group=Group.FAULT,
        runtime="node",
        title="one process, and so one thread, does all the serving",
        command=_script("single"),
        recipe=_recipe("single"),
        needs=NEEDS,
        scenario="baseline",
        connections=64,
        true_findings=("single_threaded", "low_cpu"),
        # One worker is too few as well; it is the same fault by another name.
        possible_findings=("too_few_workers", "slower_than_reference"),
        false_findings=("lock_contention", "blocking_event_loop", "cpu_quota", "gc_pressure"),
    ),
    Case(
        name="node_buffered_body",
        group=Group.FAULT,
        runtime="node",
        title="keeps uploads until they are answered, and joins the pieces (Buffer.concat)",
        command=_script("buffered_body"),
        recipe=_recipe("buffered_body"),
        needs=NEEDS,
        scenario="upload-20mb",
        connections=64,
        true_findings=("body_buffered", "memory_blowup"),
        # Joining copies each body once, when it is complete.
        possible_findings=("body_copied", "gc_pressure", "stalls", "slower_than_reference"),
        false_findings=("memory_leak", "body_spooled", "quadratic_body", "single_threaded"),
    ),
    Case(
        name="node_blocked_loop",
        group=Group.FAULT,
        runtime="node",
        title="each request blocks the event loop of its process for 20 ms, asleep",
        command=_script("blocked_loop"),
        recipe=_recipe("blocked_loop"),
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
        name="node_gc_pressure",
        group=Group.FAULT,
        runtime="node",
        title="replaces 500 of 300,000 live objects for each request, in a heap of 64 MB",
        command=_script("gc_pressure", "--max-old-space-size=64"),
        recipe=_recipe("gc_pressure"),
        needs=NEEDS,
        scenario="baseline",
        connections=64,
        true_findings=("gc_pressure",),
        possible_findings=("slow_tail", "stalls", "slower_than_reference"),
        false_findings=("memory_leak", "memory_blowup", "single_threaded"),
    ),
    Case(
        name="node_nagle",
        group=Group.FAULT,
        runtime="node",
        title="head and body in two writes, with Nagle's algorithm on",
        command=_script("nagle"),
        recipe=_recipe("nagle"),
        needs=NEEDS,
        scenario="get",
        run_options=("--path", "/pipeline"),
        connections=64,
        true_findings=("delayed_ack", "low_cpu"),
        possible_findings=("slower_than_reference",),
        false_findings=("blocking_event_loop", "downstream_wait", "lock_contention"),
    ),
    Case(
        name="node_backlog",
        group=Group.FAULT,
        runtime="node",
        title="room for 8 in the accept queue, and clients that come anew after 10 requests",
        command=_script("backlog"),
        recipe=_recipe("backlog"),
        needs=NEEDS,
        scenario="limited-conn",
        run_options=("--timeout", "2.5"),
        connections=256,
        true_findings=("accept_bottleneck",),
        possible_findings=(
            *("low_cpu", "hung", "slow_tail", "stalls", "unfair", "errors"),
            "slower_than_reference",
        ),
        false_findings=("connection_closed", "keepalive_capped", "connection_cap"),
    ),
)
