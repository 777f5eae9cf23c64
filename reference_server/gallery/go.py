"""Servers on Go's net/http: one program, whose second argument says what it does wrong."""

from __future__ import annotations

from reference_server.gallery.building import Recipe
from reference_server.gallery.case import HERE, PORT, Case, Group, Needs

NEEDS = Needs(programs=("go",))
RECIPE = Recipe(
    ("go/go.mod", "go/contract.go", "go/faults.go", "go/main.go"),
    (("go", "build", "-trimpath", "-o", "server", "."),),
)


def _server(*fault: str) -> tuple[str, ...]:
    return (f"{HERE}/server", PORT, *fault)


CASES = (
    Case(
        name="go_net_http",
        group=Group.HEALTHY,
        runtime="go",
        title="net/http as it comes",
        command=_server(),
        recipe=RECIPE,
        needs=NEEDS,
        healthy=True,
        scenario="baseline",
        connections=512,
        false_findings=("lock_contention", "single_threaded", "gc_pressure"),
    ),
    Case(
        name="go_streaming",
        group=Group.HEALTHY,
        runtime="go",
        title="counts an upload while it arrives (io.Copy)",
        command=_server(),
        recipe=RECIPE,
        needs=NEEDS,
        healthy=True,
        scenario="upload-20mb",
        connections=64,
        false_findings=("body_buffered", "body_copied", "memory_blowup", "gc_pressure"),
    ),
    Case(
        name="go_single",
        group=Group.FAULT,
        runtime="go",
        title="one thread at a time runs Go code (GOMAXPROCS 1), 0.2 ms of work for each request",
        # Without work the generator, not the server, is the limit on two cores.
        command=_server("single", "work"),
        recipe=RECIPE,
        needs=NEEDS,
        scenario="baseline",
        connections=64,
        true_findings=("low_cpu",),
        # Go moves the one running goroutine between threads: which of the two names it gets is a
        # matter of what the threads looked like.
        possible_findings=("single_threaded", "too_few_workers", "slower_than_reference"),
        false_findings=("lock_contention", "cpu_quota", "blocking_event_loop"),
    ),
    Case(
        name="go_global_lock",
        group=Group.FAULT,
        runtime="go",
        title="0.2 ms of work for each request with a mutex held that all share",
        command=_server("global_lock"),
        recipe=RECIPE,
        needs=NEEDS,
        scenario="baseline",
        connections=64,
        true_findings=("lock_contention", "low_cpu"),
        possible_findings=("slower_than_reference",),
        false_findings=("single_threaded", "gil_bound", "gc_pressure", "cpu_quota"),
    ),
    Case(
        name="go_gc_pressure",
        group=Group.FAULT,
        runtime="go",
        title="collects when 5 % of garbage is on top of two million live objects (GOGC 5)",
        command=_server("gc_pressure"),
        recipe=RECIPE,
        needs=NEEDS,
        scenario="baseline",
        connections=64,
        true_findings=("gc_pressure",),
        # Requests that allocate wait for the collector, and cores idle meanwhile.
        possible_findings=("low_cpu", "slow_tail", "slower_than_reference"),
        false_findings=("memory_leak", "memory_blowup", "lock_contention", "busy_spin"),
    ),
    Case(
        name="go_nagle",
        group=Group.FAULT,
        runtime="go",
        title="head and body in two writes, with Nagle's algorithm on",
        command=_server("nagle"),
        recipe=RECIPE,
        needs=NEEDS,
        scenario="get",
        run_options=("--path", "/pipeline"),
        connections=64,
        true_findings=("delayed_ack", "low_cpu"),
        possible_findings=("slower_than_reference",),
        false_findings=("blocking_event_loop", "downstream_wait", "lock_contention"),
    ),
    Case(
        name="go_backlog",
        group=Group.FAULT,
        runtime="go",
        title="room for 8 in the accept queue, and 2 ms for each connection that is accepted",
        command=_server("backlog"),
        recipe=RECIPE,
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
        name="go_read_all",
        group=Group.FAULT,
        runtime="go",
        title="keeps uploads until they are answered (io.ReadAll)",
        command=_server("read_all"),
        recipe=RECIPE,
        needs=NEEDS,
        scenario="upload-20mb",
        connections=32,
        true_findings=("body_buffered", "memory_blowup"),
        # ReadAll copies what it has each time its slice grows by a quarter.
        possible_findings=("body_copied", "gc_pressure", "stalls", "slower_than_reference"),
        false_findings=("memory_leak", "body_spooled", "quadratic_body", "single_threaded"),
    ),
)
