"""syscall_heavy: bytes for each read, writes and calls for each response."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from diagnose.analysis.rules.syscall_heavy import check
from diagnose.model.finding import Verdict
from diagnose.model.profile import SystemCalls
from diagnose.model.run import Run
from tests.builders import (
    BODY,
    COOLDOWN,
    MIB,
    SERVER_PID,
    UPLOADS,
    WARMUP,
    WINDOW_S,
    Process,
    Thread,
    evidence_of,
    make_load,
    make_phases,
    make_run,
    make_samples,
)


def calling(
    counts: dict[str, int] | None,
    *,
    kernel: float = 0.7,
    uploads: bool = False,
    read_calls: float = -1.0,
    read_bytes: float = 0.0,
    **more: Any,
) -> Run:
    """Calls of the only process in one second of 1000 responses; kernel: share of its CPU time.

    uploads: answers to 20 MiB bodies. read_calls, read_bytes: what the kernel counts, per second.
    """

    def of(process: Any, t: float) -> Any:
        used = process.user_s + process.system_s + 0.5 * max(0.0, t - COOLDOWN)
        since = max(0.0, t - WARMUP)
        return msgspec.structs.replace(
            process,
            user_s=used * (1 - kernel),
            system_s=used * kernel,
            read_calls=int(read_calls * since) if read_calls >= 0 else -1,
            read_bytes=int(read_bytes * since),
        )

    process = Process(threads=(Thread(1, 0.9),))
    samples = [
        msgspec.structs.replace(
            sample, processes=tuple(of(one, sample.t) for one in sample.processes)
        )
        for sample in make_samples((process,))
    ]
    load = make_load()
    if uploads:
        answered = int(10 * WINDOW_S)
        load = make_load(responses=answered, ok=answered, body_answered=answered * BODY)
        more.setdefault("scenario", UPLOADS)
    more.setdefault("profiled_rps", 10.0 if uploads else 1000.0)
    calls = (SystemCalls(SERVER_PID, 1.0, counts),) if counts is not None else ()
    return make_run(
        samples=samples,
        load=more.pop("load", load),
        phases=make_phases(profiled=True),
        system_calls=calls,
        **more,
    )


@pytest.mark.parametrize(
    ("each", "verdict"),
    [
        pytest.param(5, Verdict.CLEAR, id="as a healthy server"),
        pytest.param(20, Verdict.CLEAR, id="the clear limit"),
        pytest.param(21, Verdict.UNKNOWN, id="just over the clear limit"),
        pytest.param(39, Verdict.UNKNOWN, id="just under the limit"),
        pytest.param(40, Verdict.FOUND, id="the limit"),
    ],
)
def test_calls_for_each_response(each: int, verdict: Verdict) -> None:
    answer = check(calling({"all": each * 1000, "read": 1000, "write": 1000}))
    assert answer.verdict is verdict
    assert evidence_of(answer)["calls_per_response"] == pytest.approx(each)


@pytest.mark.parametrize(
    ("each", "verdict"),
    [(1.0, Verdict.CLEAR), (4.0, Verdict.CLEAR), (5.0, Verdict.UNKNOWN), (6.0, Verdict.FOUND)],
)
def test_writes_for_each_response(each: float, verdict: Verdict) -> None:
    writes = int(each * 1000)
    answer = check(calling({"all": writes + 3000, "recvfrom": 1000, "sendto": writes}))
    assert answer.verdict is verdict
    assert evidence_of(answer)["writes_per_response"] == pytest.approx(each)


def test_long_answers_may_take_many_writes() -> None:
    load = make_load(bytes_received=5000 * MIB)
    run = calling({"all": 15_000, "sendto": 12_000}, load=load)
    assert check(run).verdict is Verdict.CLEAR


@pytest.mark.parametrize(
    ("size", "verdict"),
    [
        pytest.param(512, Verdict.FOUND, id="crumbs"),
        pytest.param(2000, Verdict.FOUND, id="just under 2 KiB"),
        pytest.param(2100, Verdict.UNKNOWN, id="just over 2 KiB"),
        pytest.param(4096, Verdict.CLEAR, id="a page"),
        pytest.param(65536, Verdict.CLEAR, id="64 KiB"),
    ],
)
def test_bytes_for_each_read(size: int, verdict: Verdict) -> None:
    reads = 10 * BODY // size
    answer = check(calling({"all": reads + 100, "recvfrom": reads}, uploads=True))
    assert answer.verdict is verdict
    assert evidence_of(answer)["bytes_per_read"] == pytest.approx(size, rel=0.01)


class TestWithoutCounts:
    """What the kernel counts for each process tells of servers that use read."""

    @pytest.mark.parametrize(("size", "verdict"), [(512, Verdict.FOUND), (65536, Verdict.CLEAR)])
    def test_bytes_for_each_read(self, size: int, verdict: Verdict) -> None:
        rate = 10.0 * BODY
        run = calling(None, uploads=True, read_bytes=rate, read_calls=rate / size)
        assert check(run).verdict is verdict

    def test_a_server_that_uses_recv_is_unknown(self) -> None:
        run = calling(None, uploads=True, read_bytes=1000, read_calls=100)
        assert check(run).verdict is Verdict.UNKNOWN

    def test_calls_are_not_told(self) -> None:
        assert check(calling(None)).verdict is Verdict.UNKNOWN

    def test_little_time_in_the_kernel_is_clear(self) -> None:
        assert check(calling(None, kernel=0.2)).verdict is Verdict.CLEAR


@pytest.mark.parametrize(("kernel", "verdict"), [(0.49, Verdict.CLEAR), (0.51, Verdict.FOUND)])
def test_many_calls_must_cost_something(kernel: float, verdict: Verdict) -> None:
    assert check(calling({"all": 100_000}, kernel=kernel)).verdict is verdict


def test_the_most_frequent_calls_are_named() -> None:
    answer = check(calling({"all": 60_000, "sendto": 50_000, "recvfrom": 1000}))
    assert "sendto 50.0" in str(evidence_of(answer)["calls_per_response_by_name"])


def test_few_responses_tell_nothing() -> None:
    assert check(calling({"all": 4000}, profiled_rps=40.0)).verdict is Verdict.UNKNOWN


def test_unknown_without_samples_or_load() -> None:
    assert check(make_run(samples=())).verdict is Verdict.UNKNOWN
    assert check(make_run(load=None)).verdict is Verdict.UNKNOWN
