"""Servers that break HTTP: each is named for what it does, and none hangs or grows the generator.

The table drives the real load worker process; its last column of facts (memory, descriptors, CPU
time) is read from /proc while it runs. A few of the servers then meet a whole `diagnose run`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from diagnose.load.merge import merge
from diagnose.load.worker import Message, WorkerReport
from diagnose.model.load import Failure, LoadPlan, LoadResult
from diagnose.model.scenario import Expectation, RequestTemplate, Scenario
from tests.integration.conftest import Diagnose

pytestmark = pytest.mark.integration

HOSTILE_SERVER = Path(__file__).with_name("hostile_server.py")
CONNECTIONS = 16
CONNECT_S, WARMUP_S, DRAIN_S = 1.0, 0.1, 0.4
# A request that hangs is seen in the window. A worker that is busy may itself read late: what keeps
# it busy never hangs, and is not looked at for so long.
TIMEOUT_S, BUSY_TIMEOUT_S = 0.5, 5.0
WINDOW_S, BUSY_WINDOW_S = 1.0, 1.0
# Everything above takes 2.5 s; the rest is patience with a machine that does other things.
DEADLINE_S = 20.0
# The interpreter with the worker's modules was 36 MiB.
MEMORY = 64 * 2**20
MEMORY_PER_CONNECTION = 4096
# Standard streams, epoll, listening for commands, the memory of bodies.
OWN_DESCRIPTORS = 10
# A worker that waits takes 20 ticks a second.
WAITING_CPU_SHARE = 0.5
# How many servers are driven at once: those that keep a core busy spoil the clocks of the others.
QUIET_AT_ONCE, BUSY_AT_ONCE = 6, 2

GET = RequestTemplate("get", "GET", "/pipeline", expect=Expectation(body="ok"))
# Decoded and parsed, where the others are only compared.
JSON = RequestTemplate(
    "json",
    "GET",
    "/json",
    headers=(("Accept-Encoding", "gzip"),),
    expect=Expectation(items=50, encoding=("gzip",)),
)
# Longer than what the buffers of both ends hold.
UPLOAD = RequestTemplate(
    "upload", "POST", "/upload", body_length=16 * 2**20, expect=Expectation(body="ok")
)
F = Failure
Run = subprocess.Popen[str]


@dataclass(frozen=True)
class Row:
    """What must come of a behavior.

    failures: these kinds in the window, all of them. either: which of these lies in a race between
    the two ends; one at least where nothing else comes. No other kind. ok: right answers are seen
    (None: instead of a failure). unanswered: at the end every connection still has its requests in
    flight. waits: there is nothing to do but to wait. busy: the load or the server takes a core.
    proof: the worker also proves that it was the limit.
    """

    failures: frozenset[Failure] = frozenset()
    either: frozenset[Failure] = frozenset()
    ok: bool | None = False
    unanswered: bool = False
    waits: bool = False
    busy: bool = False
    proof: bool = False
    template: RequestTemplate = GET
    pipeline: int = 1


def fails(*kinds: Failure, ok: bool = False, busy: bool = False, pipeline: int = 1) -> Row:
    """Requests fail in exactly these ways."""
    return Row(failures=frozenset(kinds), ok=ok, busy=busy, pipeline=pipeline)


def hangs(*kinds: Failure) -> Row:
    """Nothing moves any more, and it is seen."""
    return Row(failures=frozenset(kinds), unanswered=True, waits=True)


def right(*, busy: bool = False, pipeline: int = 1) -> Row:
    """Odd, and nothing is wrong with it."""
    return Row(ok=True, busy=busy, pipeline=pipeline)


def uploads(*kinds: Failure, ok: bool = False, waits: bool = False) -> Row:
    """A body that the server does not take as it should."""
    return Row(frozenset(kinds), ok=ok, waits=waits, busy=not waits, template=UPLOAD)


# A body that grows until the end of time moves bytes: it is neither hung nor answered.
ENDLESS = Row(unanswered=True, busy=True)

TABLE: dict[str, Row] = {
    # Before any answer.
    "refuses": fails(F.REFUSED),
    # Two connections more than the backlog says are taken by the kernel and never by the server.
    "never_accepts": hangs(F.TIMEOUT, F.CONNECT_TIMEOUT),
    "ignores": hangs(F.TIMEOUT),
    "never_answers": hangs(F.TIMEOUT),
    "closes_at_once": Row(either=frozenset({F.CLOSED_WAITING, F.RESET_WAITING, F.RESET_SENDING})),
    "resets_at_once": Row(
        either=frozenset({F.RESET_WAITING, F.RESET_SENDING, F.CONNECT_ERROR}),
    ),
    "half_closes_at_once": fails(F.CLOSED_WAITING),
    "closes_after_request": fails(F.CLOSED_WAITING),
    "resets_after_request": fails(F.RESET_WAITING),
    "speaks_first": fails(F.BAD_FRAMING),
    # Inside an answer.
    "resets_mid_head": fails(F.RESET_RECEIVING),
    "resets_mid_body": fails(F.RESET_RECEIVING),
    "resets_mid_chunk": fails(F.RESET_RECEIVING),
    "closes_mid_head": fails(F.CLOSED_RECEIVING),
    "closes_mid_body": fails(F.CLOSED_RECEIVING),
    "closes_mid_chunk": fails(F.CLOSED_RECEIVING),
    "stalls_mid_head": hangs(F.TIMEOUT),
    "stalls_mid_body": hangs(F.TIMEOUT),
    "stalls_mid_chunk": hangs(F.TIMEOUT),
    "gigabyte_then_stalls": hangs(F.TIMEOUT),
    "gigabyte": ENDLESS,
    "endless_body": ENDLESS,
    "endless_chunks": ENDLESS,
    "continue_flood": ENDLESS,
    "endless_headers": fails(F.BAD_FRAMING, busy=True),
    "endless_header": fails(F.BAD_FRAMING, busy=True),
    "endless_extension": fails(F.BAD_FRAMING, busy=True),
    "endless_trailers": fails(F.BAD_FRAMING, busy=True),
    "trickles_without_end": Row(unanswered=True, waits=True),
    # No answers at all.
    "garbage": fails(F.BAD_FRAMING),
    "garbage_status": fails(F.BAD_FRAMING),
    "nul_bytes": fails(F.BAD_FRAMING),
    "nul_in_header": fails(F.BAD_FRAMING),
    "newline_in_header": fails(F.BAD_FRAMING),
    "http_2": fails(F.BAD_FRAMING),
    "http_0_9": fails(F.BAD_FRAMING),
    "status_0": fails(F.BAD_FRAMING),
    "status_999": Row(frozenset({F.WRONG_STATUS}), busy=True, proof=True),
    "negative_length": fails(F.BAD_FRAMING),
    "two_lengths": fails(F.BAD_FRAMING),
    "length_too_short": fails(F.BAD_FRAMING),
    "length_too_long_then_closes": fails(F.CLOSED_RECEIVING),
    "length_too_long_then_stalls": hangs(F.TIMEOUT),
    "bad_chunk_size": fails(F.BAD_FRAMING),
    "negative_chunk_size": fails(F.BAD_FRAMING),
    "chunk_size_overflow": fails(F.BAD_FRAMING),
    "chunk_size_too_short": fails(F.BAD_FRAMING),
    "huge_header": fails(F.BAD_FRAMING, busy=True),
    "switches_protocols": fails(F.WRONG_STATUS, busy=True),
    # Only a share of the answers is decoded and parsed.
    "gzip_bomb": Row(frozenset({F.WRONG_BODY}), ok=None, busy=True, template=JSON),
    "deep_json": Row(frozenset({F.WRONG_BODY}), ok=None, busy=True, template=JSON),
    # The first of two is right, the second nobody asked for.
    "answers_twice": fails(F.BAD_FRAMING, ok=True),
    # Odd, and right.
    "answers": right(busy=True),
    "interim": right(busy=True),
    "length_and_chunked": right(busy=True),
    "trailers": right(busy=True),
    "many_headers": right(busy=True),
    "byte_by_byte": right(busy=True),
    "until_close": right(busy=True),
    "trickles": right(),
    "two_halves": right(),
    "another_head_each_time": right(busy=True),
    "another_answer_each_time": right(busy=True, pipeline=16),
    # One answer too many is seen as such when it comes together with the next one.
    "answers_nobody": Row(either=frozenset({F.BAD_FRAMING}), ok=True, busy=True),
    # One in a row, or one in several.
    "closes_after_answer": Row(
        either=frozenset({F.CLOSED_WAITING, F.RESET_WAITING}), ok=True, busy=True
    ),
    "half_closes_after_answer": fails(F.CLOSED_WAITING, ok=True, busy=True),
    "answers_five_then_closes": fails(F.CLOSED_WAITING, ok=True, busy=True, pipeline=16),
    "closes_every_second": fails(F.CLOSED_WAITING, ok=True, busy=True),
    "differs_each_time": fails(
        *(F.BAD_FRAMING, F.RESET_RECEIVING, F.CLOSED_RECEIVING, F.TIMEOUT), ok=True
    ),
    # Uploads. An answer before the end of the body is an answer (RFC 9112, 9.3).
    "answers_early_then_closes": uploads(ok=True),
    "announces_early_close": uploads(ok=True),
    "answers_early_then_reads_on": uploads(ok=True),
    # Answered, and yet not over: the rest of the body can never be sent.
    "answers_early_then_ignores": Row(
        either=frozenset({F.TIMEOUT}), ok=None, waits=True, template=UPLOAD
    ),
    "resets_mid_request": uploads(F.RESET_SENDING),
    "stops_reading": uploads(F.TIMEOUT, waits=True),
}


@dataclass(frozen=True)
class Driven:
    """A worker's life against one server.

    seconds: from `go` to its end. memory: the peak, bytes. cpu_share: CPU time and the wait for a
    core, over the time since `go`.
    """

    status: int
    killed: bool
    seconds: float
    memory: int
    descriptors: int
    cpu_share: float
    result: LoadResult


@contextmanager
def hostile(behavior: str) -> Iterator[int]:
    """A server; its port."""
    with subprocess.Popen(
        [sys.executable, str(HOSTILE_SERVER), "0", behavior], stdout=subprocess.PIPE
    ) as server:
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline().split()[-1])
        finally:
            server.kill()


def drive(behavior: str, row: Row) -> Driven:
    """Start the server, and a worker that loads it; wait for the worker's end."""
    scenario = Scenario(
        name="hostile",
        title="",
        round="",
        templates=(row.template,),
        connections=(CONNECTIONS,),
        pipeline=row.pipeline,
        timeout_s=BUSY_TIMEOUT_S if row.busy else TIMEOUT_S,
    )
    with (
        hostile(behavior) as port,
        subprocess.Popen(
            [sys.executable, "-m", "diagnose.load.worker", "0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as worker,
    ):
        window_s = BUSY_WINDOW_S if row.busy else WINDOW_S
        plan = LoadPlan(
            *("127.0.0.1", port, scenario, CONNECTIONS, 0, 1, WARMUP_S, window_s, DRAIN_S),
            connect_s=CONNECT_S,
            # Every connection is looked at before the next: what ends at once is seen to end.
            connect_batch=1,
            spin_probe=row.proof,
        )
        watch = threading.Timer(DEADLINE_S, worker.kill)
        watch.start()
        try:
            return follow(worker, plan)
        finally:
            watch.cancel()
            worker.kill()


def follow(worker: subprocess.Popen[bytes], plan: LoadPlan) -> Driven:
    """Tell the worker what to do, and look at it with every line that it says."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(msgspec.json.encode(plan) + b"\n")
    worker.stdin.flush()
    began, seen_at = time.monotonic(), 0.0
    cpu_before = cpu = 0.0
    memory = descriptors = 0
    reports: list[WorkerReport] = []
    process = Path("/proc") / str(worker.pid)
    for line in worker.stdout:
        # Its last line may be read when it is gone.
        with suppress(OSError, ValueError):
            memory = max(memory, peak_memory(process))
            descriptors = max(descriptors, len(os.listdir(process / "fd")))
            cpu, seen_at = cpu_and_queue_s(process), time.monotonic()
        message = msgspec.json.decode(line, type=Message)
        assert message.error is None, message.error
        if message.ready is not None:
            began, cpu_before = time.monotonic(), cpu
            worker.stdin.write(b"go\n")
            worker.stdin.flush()
        if message.report is not None:
            reports.append(message.report)
    status = worker.wait()
    seconds = time.monotonic() - began
    assert reports, f"the worker ended with {status} after {seconds:.1f} s and without a report"
    return Driven(
        status=status,
        killed=seconds >= DEADLINE_S,
        seconds=seconds,
        memory=memory,
        descriptors=descriptors,
        cpu_share=(cpu - cpu_before) / max(0.1, seen_at - began),
        result=merge(plan, reports),
    )


def peak_memory(process: Path) -> int:
    """VmHWM in bytes. `ru_maxrss` will not do: a child begins with its parent's."""
    line = (process / "status").read_text().partition("VmHWM:")[2].partition("kB")[0]
    return int(line) * 1024


def cpu_and_queue_s(process: Path) -> float:
    """Seconds on a core and seconds ready for one: a busy loop shows on a busy machine too."""
    run, wait, _ = (process / "schedstat").read_text().split()
    return (int(run) + int(wait)) / 1e9


@pytest.fixture(scope="module")
def driven(request: pytest.FixtureRequest) -> Mapping[str, Future[Driven]]:
    """All rows that were asked for, several at a time; busy ones after the others."""
    wanted = {
        item.callspec.params["behavior"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        if "behavior" in item.callspec.params and item.path == request.path
    }
    futures: dict[str, Future[Driven]] = {}
    for busy, at_once in ((False, QUIET_AT_ONCE), (True, BUSY_AT_ONCE)):
        with ThreadPoolExecutor(at_once) as pool:
            for behavior in TABLE:
                if behavior in wanted and TABLE[behavior].busy is busy:
                    futures[behavior] = pool.submit(drive, behavior, TABLE[behavior])
    return futures


def kinds(failures: Mapping[str, int]) -> set[Failure]:
    """Those that were counted."""
    return {Failure(name) for name, count in failures.items() if count}


@pytest.mark.parametrize("behavior", TABLE)
def test_hostile_server(behavior: str, driven: Mapping[str, Future[Driven]]) -> None:
    row, seen = TABLE[behavior], driven[behavior].result()
    result = seen.result
    told = (result.failures, result.drain_failures, result.examples)
    # It ends by itself, in time and in order.
    assert not seen.killed
    assert seen.status == 0
    assert not result.interrupted
    # What went wrong has its name, and nothing is passed over in silence.
    found = kinds(result.failures)
    assert found - row.either == row.failures, told
    assert found or row.unanswered or result.ok, told
    seen_at_all = result.responses + result.failed + result.unanswered
    assert seen_at_all >= (1 if row.ok else CONNECTIONS), told
    assert kinds(result.drain_failures) <= row.failures | row.either, told
    assert sum(result.drain_failures.values()) <= CONNECTIONS * row.pipeline, told
    assert {example.kind for example in result.examples} >= found, told
    assert not any("descriptor" in example.detail for example in result.examples), told
    # What was answered is counted.
    answered = result.responses + result.late_responses
    assert row.ok is None or bool(result.ok) == row.ok, told
    assert result.ok <= result.responses
    if {F.WRONG_STATUS, F.WRONG_BODY} & row.failures:
        assert answered >= result.failed > 0
    elif row.ok is False:
        assert answered == 0
    if row.unanswered:
        depth = CONNECTIONS * row.pipeline
        missing = result.failures.get(F.CONNECT_TIMEOUT.value, 0)
        assert result.unanswered >= min(depth, result.established) > 0
        assert result.unanswered <= depth
        assert result.failures.get(F.TIMEOUT.value, 0) <= depth
        assert bool(missing) == (result.established < CONNECTIONS)
    # The generator stays what it was.
    assert seen.memory < MEMORY + CONNECTIONS * MEMORY_PER_CONNECTION, seen.memory / 2**20
    assert seen.descriptors <= CONNECTIONS + OWN_DESCRIPTORS
    if row.waits:
        assert seen.cpu_share < WAITING_CPU_SHARE


def test_every_behavior_is_in_the_table() -> None:
    said = subprocess.run(
        [sys.executable, str(HOSTILE_SERVER), "--help"], capture_output=True, text=True, check=True
    ).stdout
    names = set("".join(said.partition("{")[2].partition("}")[0].split()).split(","))
    assert names == TABLE.keys()


# -- the whole program ----------------------------------------------------------------------------

RUN_DEADLINE_S = 60.0
READY_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Whole:
    """What must come of a run: its exit status, what is said about the server, of the probes."""

    status: int
    found: frozenset[str]
    probe: str


# Each answers the question whether it is ready, and nothing more.
WHOLE: dict[str, Whole] = {
    "never_answers": Whole(1, frozenset({"hung"}), "no complete answer"),
    "garbage": Whole(1, frozenset({"errors"}), "not an HTTP/1.x response"),
    "resets_mid_body": Whole(1, frozenset({"errors"}), "connection was reset"),
    "refuses": Whole(1, frozenset({"errors"}), "refused"),
    "endless_body": Whole(1, frozenset({"hung"}), "no complete answer"),
}


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Diagnose, Run]]]:
    """All runs at once: they wait for most of their time."""
    started: dict[str, tuple[Diagnose, Run]] = {}
    try:
        for behavior in WHOLE:
            session = Diagnose(tmp_path_factory.mktemp(behavior))
            session.environment["TMPDIR"] = str(session.home)
            started[behavior] = (
                session,
                session.start(
                    *("run", "pipelined", "--port", "0", "--json", "--profile", "none"),
                    *("-c", "8", "-p", "1", "-d", "1.2", "--warmup", "0.2", "--timeout", "1"),
                    *("--", sys.executable, str(HOSTILE_SERVER), "$PORT", behavior, "--after", "1"),
                ),
            )
        yield started
    finally:
        for session, process in started.values():
            process.kill()
            process.communicate()
            session.check_nothing_left()


@pytest.mark.parametrize("server", WHOLE)
def test_whole_run(server: str, sessions: dict[str, tuple[Diagnose, Run]]) -> None:
    expected = WHOLE[server]
    session, process = sessions[server]
    outcome = session.finish(process, RUN_DEADLINE_S)
    assert "Traceback" not in outcome.stderr
    assert outcome.run["state"] == "complete"
    # It starts a thread for each connection, and there is one for each request that fails.
    true_as_well = {"low_cpu", "thread_explosion"}
    assert outcome.blamed - true_as_well == expected.found, outcome.run["findings"]
    assert outcome.status == expected.status
    assert outcome.run["figures"]["responses"] == 0
    manifest = json.loads((session.directory() / "run.json").read_text())
    assert manifest["probes"]
    for probe in manifest["probes"]:
        assert probe["outcome"] == "error"
        assert expected.probe in probe["detail"]
    session.check_nothing_left()
    assert [item.name for item in session.home.iterdir()] == ["runs"]


def test_trickle_does_not_outlast_the_ready_timeout(diagnose: Diagnose) -> None:
    """A byte now and then is not an answer, however long one waits for the rest of the line."""
    command = [sys.executable, str(HOSTILE_SERVER), "$PORT", "trickles_without_end"]
    process = diagnose.start(
        *("run", "pipelined", "--port", "0", "--ready-timeout", str(READY_TIMEOUT_S)),
        *("--", *command),
    )
    outcome = diagnose.finish(process, READY_TIMEOUT_S + 15.0)
    assert outcome.status == 3
    assert f"not ready after {READY_TIMEOUT_S:.0f} s" in outcome.stderr
