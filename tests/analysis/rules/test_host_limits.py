"""host_limits: errors of the client's kernel, descriptors of the server, the cut backlog."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from diagnose.analysis.rules.host_limits import check
from diagnose.model.finding import Verdict
from diagnose.model.load import Failure, FailureExample, LoadResult
from diagnose.model.run import ServerEnd
from diagnose.model.samples import Sample
from tests.builders import (
    evidence_of,
    make_host,
    make_launch,
    make_load,
    make_run,
    make_samples,
    with_failures,
)

CONNECT = Failure.CONNECT_ERROR.value


def failing(detail: str, count: int = 7, kind: str = CONNECT) -> LoadResult:
    """A window with failures of one kind, the first of which said this."""
    example = FailureExample(kind, "get", detail)
    return make_load(failures={kind: count}, examples=(example,))


class TestClientSide:
    """The words of the error are those that the C library has for it."""

    @pytest.mark.parametrize(
        ("code", "command"),
        [
            pytest.param(errno.EADDRNOTAVAIL, "ip_local_port_range", id="no port"),
            pytest.param(errno.EMFILE, "ulimit -n", id="no descriptor in the process"),
            pytest.param(errno.ENFILE, "fs.file-max", id="no descriptor on the machine"),
            pytest.param(errno.ENOBUFS, "tcp_mem", id="no buffer"),
            pytest.param(errno.ENOMEM, "free -m", id="no memory"),
        ],
    )
    def test_found_with_its_command(self, code: int, command: str) -> None:
        answer = check(make_run(load=failing(os.strerror(code))))
        assert answer.verdict is Verdict.FOUND
        assert command in answer.next_step
        assert evidence_of(answer)["failed_with"] == errno.errorcode[code]
        assert evidence_of(answer)[CONNECT] == 7
        assert "7 failures" in answer.claim

    @pytest.mark.parametrize(
        ("words", "name"),
        [
            pytest.param("Address not available", "EADDRNOTAVAIL", id="port"),
            pytest.param("No file descriptors available", "EMFILE", id="descriptor"),
            pytest.param("Out of memory", "ENOMEM", id="memory"),
        ],
    )
    def test_words_of_musl(self, words: str, name: str) -> None:
        assert evidence_of(check(make_run(load=failing(words))))["failed_with"] == name

    def test_words_may_be_followed_by_more(self) -> None:
        said = f"{os.strerror(errno.ENOBUFS)} after 12 responses on this connection"
        load = failing(said, kind=Failure.RESET_WAITING.value)
        answer = check(make_run(load=load))
        assert answer.verdict is Verdict.FOUND
        assert evidence_of(answer)[Failure.RESET_WAITING.value] == 7

    def test_failures_of_the_drain_count_too(self) -> None:
        load = replace(failing(os.strerror(errno.EMFILE), 2), drain_failures={CONNECT: 3})
        assert "5 failures" in check(make_run(load=load)).claim

    @pytest.mark.parametrize(
        "words",
        [
            os.strerror(errno.ECONNREFUSED),
            os.strerror(errno.ECONNRESET),
            os.strerror(errno.EPIPE),
            "the body says: Too many open files",
        ],
    )
    def test_errors_of_the_server_are_not_limits(self, words: str) -> None:
        assert check(make_run(load=failing(words))).verdict is Verdict.CLEAR

    def test_other_failures_are_not_limits(self) -> None:
        load = with_failures({kind.value: 50 for kind in Failure})
        assert check(make_run(load=load)).verdict is Verdict.CLEAR


class TestDescriptors:
    """The server ran out of them."""

    @pytest.mark.parametrize(
        "line",
        [
            "accept4() failed (24: Too many open files)",
            "Error: accept EMFILE :::8080",
            "OSError: [Errno 23] Too many open files in system",
            "http: Accept error: accept tcp [::]:8080: accept4: too many open files; retrying",
        ],
    )
    def test_the_log_says_so(self, line: str) -> None:
        end = ServerEnd(log_tail=("listening on 8080", f"  {line}  "))
        answer = check(make_run(end=end))
        assert answer.verdict is Verdict.FOUND
        assert line in answer.claim
        assert "server_log" in evidence_of(answer)
        assert "ulimit" in answer.next_step

    def test_other_lines_do_not(self) -> None:
        end = ServerEnd(log_tail=("opened 12 files", "no route to host"))
        assert check(make_run(end=end)).verdict is Verdict.CLEAR

    @pytest.mark.parametrize(
        ("held", "verdict"),
        [
            pytest.param(1007, Verdict.CLEAR, id="room for some"),
            pytest.param(1008, Verdict.FOUND, id="room for 16"),
            pytest.param(1024, Verdict.FOUND, id="none left"),
        ],
    )
    def test_a_process_holds_all_that_it_may(self, held: int, verdict: Verdict) -> None:
        host = replace(make_host(), descriptor_limit=1024)
        answer = check(make_run(samples=holding(held), host=host))
        assert answer.verdict is verdict
        if verdict is Verdict.FOUND:
            assert evidence_of(answer)["descriptors"] == held
            assert f"{held} of the 1024 descriptors" in answer.claim

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"launch": make_launch(attached=True)}, id="attached: its own limit"),
            pytest.param(
                {"host": replace(make_host(), descriptor_limit=-1)}, id="there is no limit"
            ),
        ],
    )
    def test_clear_where_the_limit_is_not_known(self, changes: dict[str, Any]) -> None:
        host = replace(make_host(), descriptor_limit=1024)
        run = make_run(**{"samples": holding(1024), "host": host, **changes})
        assert check(run).verdict is Verdict.CLEAR


def holding(descriptors: int) -> list[Sample]:
    """Samples of a server of which one process holds so many descriptors in the end."""
    rows = list(make_samples())
    first, *rest = rows[-1].processes
    process = msgspec.structs.replace(first, descriptors=descriptors)
    rows[-1] = msgspec.structs.replace(rows[-1], processes=(process, *rest))
    return rows


class TestBacklog:
    """A connection request was lost and sent again, and the kernel had cut the backlog."""

    @pytest.mark.parametrize(
        ("connect_s", "somaxconn", "backlog", "verdict"),
        [
            pytest.param(1.02, 128, 128, Verdict.FOUND, id="sent again once"),
            pytest.param(3.05, 128, 128, Verdict.FOUND, id="sent again twice"),
            pytest.param(0.89, 128, 128, Verdict.CLEAR, id="slow, but nothing sent again"),
            pytest.param(1.02, 512, 512, Verdict.CLEAR, id="room for all"),
            pytest.param(1.02, 128, 64, Verdict.CLEAR, id="the server asked for less"),
            pytest.param(1.02, -1, 128, Verdict.CLEAR, id="limit not known"),
        ],
    )
    def test_all_three_are_needed(
        self, connect_s: float, somaxconn: int, backlog: int, verdict: Verdict
    ) -> None:
        run = make_run(
            connections=512,
            load=make_load(connect_max_s=connect_s),
            host=replace(make_host(), somaxconn=somaxconn),
            samples=with_backlog(backlog),
        )
        answer = check(run)
        assert answer.verdict is verdict, answer.claim
        assert evidence_of(answer)["connect_max"] == connect_s
        if verdict is Verdict.FOUND:
            assert "net.core.somaxconn=512" in answer.next_step
            assert evidence_of(answer)["accept_backlog"] == backlog

    @pytest.mark.parametrize(
        ("connections", "wanted"), [(129, 256), (4096, 4096), (5000, 8192), (16384, 16384)]
    )
    def test_the_command_names_a_power_of_two(self, connections: int, wanted: int) -> None:
        run = make_run(
            connections=connections,
            load=make_load(connect_max_s=1.5),
            host=replace(make_host(), somaxconn=128),
            samples=with_backlog(128),
        )
        assert f"somaxconn={wanted}`" in check(run).next_step

    def test_clear_where_sockets_were_not_sampled(self) -> None:
        run = make_run(
            connections=512,
            load=make_load(connect_max_s=1.5),
            host=replace(make_host(), somaxconn=128),
            samples=make_samples(sockets=None),
        )
        assert check(run).verdict is Verdict.CLEAR


def with_backlog(backlog: int) -> list[Sample]:
    """Samples of a server whose listener has this backlog."""
    return [
        msgspec.structs.replace(
            sample, sockets=msgspec.structs.replace(sample.sockets, accept_backlog=backlog)
        )
        for sample in make_samples()
        if sample.sockets is not None
    ]


def test_failures_of_the_client_come_first() -> None:
    end = ServerEnd(log_tail=("Too many open files",))
    answer = check(make_run(load=failing(os.strerror(errno.EADDRNOTAVAIL)), end=end))
    assert answer.evidence[0].value == "EADDRNOTAVAIL"


def test_clear_without_any_sign() -> None:
    answer = check(make_run())
    assert answer.verdict is Verdict.CLEAR
    assert answer.next_step == ""


def test_unknown_without_a_load() -> None:
    answer = check(make_run(load=None))
    assert answer.verdict is Verdict.UNKNOWN
    assert "no result" in answer.claim
