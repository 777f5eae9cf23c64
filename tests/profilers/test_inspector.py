"""Node's CPU profile as collapsed stacks, and the inspector on a socket of ours."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from diagnose import websocket
from diagnose.profilers import _inspected, _inspected_workers, inspector
from diagnose.profilers._inspected_workers import Workers, worker_name
from diagnose.profilers._inspector_session import Event, Session
from diagnose.profilers._signals import handles
from diagnose.profilers._told import REMARK, Refused
from diagnose.store.reader import parse_folded


def node(number: int, name: str, hits: int = 0, *children: int, url: str = "") -> dict[str, Any]:
    """A function in V8's call tree."""
    call = {"functionName": name, "scriptId": "1", "url": url, "lineNumber": 6, "columnNumber": 0}
    return {"id": number, "callFrame": call, "hitCount": hits, "children": list(children)}


def written(tmp_path: Path, *nodes: dict[str, Any]) -> Path:
    """What Profiler.stop gave."""
    out = tmp_path / "inspector-1"
    times = {"startTime": 1, "endTime": 2, "samples": [], "timeDeltas": []}
    out.write_text(json.dumps({"profile": {"nodes": list(nodes), **times}}))
    return out


TREE = (
    node(1, "(root)", 0, 2, 3, 4, 5),
    node(2, "(program)", 10),
    node(3, "(idle)", 500),
    node(4, "handle", 0, 6, 7, url="file:///srv/my%20app.js"),
    node(5, "(garbage collector)", 5),
    node(6, "render", 60, url="/srv/view.js"),
    node(7, "", 25, url="node:internal/timers"),
)


class TestCollect:
    """V8's call tree as collapsed stacks."""

    def test_functions_have_their_file_and_line(self, tmp_path: Path) -> None:
        out = written(tmp_path, *TREE)
        collected = inspector.collect(out, "")
        assert dict(parse_folded(collected.folded)) == {
            ("node", "handle (/srv/my app.js:7)", "render (/srv/view.js:7)"): 60,
            ("node", "handle (/srv/my app.js:7)", "(anonymous) (node:internal/timers:7)"): 25,
            ("node", "[program]"): 10,
            ("node", "(garbage collector)"): 5,
        }
        assert (collected.samples, collected.remedy, collected.remark) == (100, "", "")
        assert not out.exists()

    @pytest.mark.parametrize(
        ("line", "start", "called"),
        [
            pytest.param(3, 2, True, id="before the caller"),
            pytest.param(44, 42, True, id="after the caller"),
            pytest.param(10, 2, False, id="may be the caller's own"),
            pytest.param(42, 42, False, id="on the function's first line"),
        ],
    )
    def test_an_inlined_function_is_known_by_its_line(
        self, tmp_path: Path, line: int, start: int, called: bool
    ) -> None:
        caller = node(2, "handle", 50, 3, url="/a.js")
        caller["positionTicks"] = [{"line": line, "ticks": 45}, {"line": 8, "ticks": 5}]
        inner = node(3, "render", 10, url="/a.js")
        inner["callFrame"]["lineNumber"] = start - 1
        inner["positionTicks"] = [{"line": line, "ticks": 10}]
        collected = inspector.collect(written(tmp_path, node(1, "(root)", 0, 2), caller, inner), "")
        stacks = dict(parse_folded(collected.folded))
        below = ("node", "handle (/a.js:7)", f"render (/a.js:{start})")
        assert stacks[below] == (55 if called else 10)
        assert stacks[below[:2]] == (5 if called else 50)
        assert collected.samples == 60

    def test_a_line_of_another_file_is_not_mixed_up(self, tmp_path: Path) -> None:
        caller = node(2, "handle", 50, 3, url="/a.js")
        caller["positionTicks"] = [{"line": 44, "ticks": 50}]
        inner = node(3, "render", 10, url="/b.js")
        inner["callFrame"]["lineNumber"] = 41
        inner["positionTicks"] = [{"line": 44, "ticks": 10}]
        collected = inspector.collect(written(tmp_path, node(1, "(root)", 0, 2), caller, inner), "")
        assert dict(parse_folded(collected.folded))[("node", "handle (/a.js:7)")] == 50

    def test_what_stays_open_is_a_remark(self, tmp_path: Path) -> None:
        collected = inspector.collect(written(tmp_path, *TREE), f"{REMARK}it stays open\n")
        assert collected.remark == "it stays open"

    def test_an_idle_process_is_no_profile(self, tmp_path: Path) -> None:
        collected = inspector.collect(
            written(tmp_path, node(1, "(root)", 0, 2, 3), node(2, "(idle)", 900), node(3, "f", 39)),
            "",
        )
        assert collected.folded == ""
        assert "only 39 samples" in collected.remedy

    @pytest.mark.parametrize("length", [0, 10, 200])
    def test_a_file_that_was_cut_off_is_said(self, tmp_path: Path, length: int) -> None:
        out = written(tmp_path, *TREE)
        out.write_bytes(out.read_bytes()[:length])
        assert "cannot be read" in inspector.collect(out, "").remedy
        assert not out.exists()

    def test_why_there_is_none_is_quoted(self, tmp_path: Path) -> None:
        collected = inspector.collect(tmp_path / "none", "the process was gone\n")
        assert collected.remedy == "no CPU profile: the process was gone"


class Inspector:
    """Answers one session as node does."""

    def __init__(
        self,
        *,
        refuses: str = "",
        breaks: bool = False,
        workers: Sequence[str] = (),
        silent: bool = False,
    ) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.asked: list[str] = []
        self._refuses = refuses
        self._breaks = breaks
        # Their titles, by their session.
        self._workers = {str(number): title for number, title in enumerate(workers, 1)}
        self._silent = silent
        self.asked_of_workers: list[tuple[str, str]] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection:
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(4096)
            connection.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\n"
                b"Sec-WebSocket-Accept: " + websocket.ACCEPT.encode() + b"\r\n\r\n"
            )
            while data := connection.recv(65536):
                size, start = data[1] & 0x7F, 2
                if size == 126:
                    size, start = int.from_bytes(data[2:4], "big"), 4
                coded = data[start + 4 : start + 4 + size]
                text = bytes(byte ^ websocket.MASK[i % 4] for i, byte in enumerate(coded))
                asked = json.loads(text)
                self.asked.append(asked["method"])
                if self._breaks:
                    return
                answer: dict[str, Any] = {"id": asked["id"], "result": {}}
                if asked["method"] == self._refuses:
                    answer = {"id": asked["id"], "error": {"code": 1, "message": "not now"}}
                if asked["method"] == "Profiler.stop":
                    answer["result"] = {"profile": {"nodes": list(TREE)}}
                events = [{"method": "Runtime.consoleAPICalled", "params": {}}]
                events += self._told(asked)
                for message in (json.dumps(one).encode() for one in (*events, answer)):
                    head = bytes([0x80 | websocket.TEXT]) + websocket.length(len(message), 0)
                    connection.sendall(head + message)

    def _told(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """What the threads of workers tell when they are asked."""
        if asked["method"] == "NodeWorker.enable":
            return [
                {
                    "method": "NodeWorker.attachedToWorker",
                    "params": {
                        "sessionId": session,
                        "workerInfo": {"workerId": session, "type": "worker", "title": title},
                        "waitingForDebugger": False,
                    },
                }
                for session, title in self._workers.items()
            ]
        if asked["method"] != "NodeWorker.sendMessageToWorker":
            return []
        session, inner = asked["params"]["sessionId"], json.loads(asked["params"]["message"])
        self.asked_of_workers.append((session, inner["method"]))
        if self._silent:
            return []
        result = {"profile": {"nodes": list(TREE)}} if inner["method"] == "Profiler.stop" else {}
        message = json.dumps({"id": inner["id"], "result": result})
        told = {"sessionId": session, "message": message}
        return [{"method": "NodeWorker.receivedMessageFromWorker", "params": told}]

    def close(self) -> None:
        """No more."""
        self._listening.close()
        self._thread.join(5.0)


@pytest.fixture(autouse=True)
def _interrupt() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def attached(monkeypatch: pytest.MonkeyPatch, peer: Inspector) -> None:
    """The inspector was opened by somebody else."""
    monkeypatch.setattr(_inspected, "_listeners", lambda pid: {peer.port})
    monkeypatch.setattr(_inspected, "_opened_before", lambda pid, ports: peer.port)
    monkeypatch.setattr(_inspected, "_target", lambda port: "/uuid")


def test_a_session_takes_a_profile_and_leaves_what_others_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = Inspector()
    attached(monkeypatch, peer)
    said = list(_inspected.main([str(os.getpid()), "0", str(tmp_path / "out"), "99"]))
    peer.close()
    assert said == []
    assert peer.asked == [
        "Profiler.enable",
        "Profiler.setSamplingInterval",
        "Profiler.start",
        "Profiler.startPreciseCoverage",
        "Profiler.stopPreciseCoverage",
        "NodeWorker.enable",
        "Profiler.stop",
    ]
    assert inspector.collect(tmp_path / "out", "").samples == 100


def test_worker_threads_are_profiled_under_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = Inspector(workers=["Worker 1", "[worker 2] pool"])
    attached(monkeypatch, peer)
    said = list(_inspected.main([str(os.getpid()), "0", str(tmp_path / "out"), "99"]))
    peer.close()
    assert said == []
    assert [method for session, method in peer.asked_of_workers if session == "2"] == [
        "Profiler.enable",
        "Profiler.setSamplingInterval",
        "Profiler.start",
        "Profiler.startPreciseCoverage",
        "Profiler.stopPreciseCoverage",
        "Profiler.stop",
    ]
    collected = inspector.collect(tmp_path / "out", "")
    assert collected.samples == 300
    stacks = dict(parse_folded(collected.folded))
    handle = ("handle (/srv/my app.js:7)", "render (/srv/view.js:7)")
    for thread in ("node", "worker 1", "worker 2 pool"):
        assert stacks[(thread, *handle)] == 60


def test_a_worker_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = Inspector(workers=["Worker 1"], silent=True)
    attached(monkeypatch, peer)
    monkeypatch.setattr(_inspected_workers, "STOP_PATIENCE_S", 0.1)
    (said,) = _inspected.main([str(os.getpid()), "0", str(tmp_path / "out"), "99"])
    peer.close()
    assert said == f"{REMARK}no answer from worker 1, which may wait all the time"
    assert inspector.collect(tmp_path / "out", said).samples == 100


@pytest.mark.parametrize(
    ("refuses", "remark"),
    [
        ("NodeWorker.enable", "worker threads are not in it (the inspector refused NodeWorker.ena"),
        ("NodeWorker.sendMessageToWorker", "1 worker threads ended before the profile did"),
    ],
)
def test_workers_that_are_not_there_leave_the_main_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: str, remark: str
) -> None:
    peer = Inspector(workers=["Worker 1"], refuses=refuses)
    attached(monkeypatch, peer)
    if refuses == "NodeWorker.enable":
        monkeypatch.setattr(peer, "_workers", {})
    (said,) = _inspected.main([str(os.getpid()), "0", str(tmp_path / "out"), "99"])
    peer.close()
    assert said.startswith(f"{REMARK}{remark}")
    assert inspector.collect(tmp_path / "out", said).samples == 100


class Quiet:
    """A session that answers everything, and tells what it is given."""

    def __init__(self, *told: tuple[str, dict[str, Any]]) -> None:
        self._told = [Event(method, msgspec.Raw(json.dumps(p).encode())) for method, p in told]

    def ask(self, method: str, **parameters: object) -> msgspec.Raw:
        return msgspec.Raw(b"{}")

    def listen(self, until: float) -> None:
        pass

    def events(self) -> list[Event]:
        told, self._told = self._told, []
        return told


def test_a_worker_that_ends_is_counted() -> None:
    info = {"workerId": "4", "title": "Worker 4"}
    session = Quiet(
        ("NodeWorker.attachedToWorker", {"sessionId": "a", "workerInfo": info}),
        ("NodeWorker.detachedFromWorker", {"sessionId": "a"}),
        ("NodeWorker.detachedFromWorker", {"sessionId": "never seen"}),
    )
    workers = Workers(cast(Session, session), [("Profiler.start", {})])
    workers.begin()
    assert workers.stop() == []
    assert workers.remark() == "1 worker threads ended before the profile did"


@pytest.mark.parametrize(
    ("number", "title", "name"),
    [
        ("1", "Worker 1", "worker 1"),
        ("12", "[worker 12] pool", "worker 12 pool"),
        ("3", "", "worker 3"),
        ("3", "resizer", "worker 3 resizer"),
        ("3", "[worker 3] WorkerThread", "worker 3"),
    ],
)
def test_workers_have_names(number: str, title: str, name: str) -> None:
    assert worker_name(number, title) == name


def test_what_we_opened_is_closed_even_on_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = Inspector(refuses="Profiler.start")
    attached(monkeypatch, peer)
    monkeypatch.setattr(_inspected, "_opened_before", lambda pid, ports: None)
    monkeypatch.setattr(_inspected, "_open", lambda pid, before: peer.port)
    monkeypatch.setattr(_inspected, "_listeners", lambda pid: set())
    (said,) = _inspected.main([str(os.getpid()), "0", str(tmp_path / "out"), "99"])
    peer.close()
    assert "refused Profiler.start" in said
    assert peer.asked[-1] == "Runtime.evaluate"


def test_one_that_does_not_close_is_a_remark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = Inspector()
    attached(monkeypatch, peer)
    monkeypatch.setattr(_inspected, "_opened_before", lambda pid, ports: None)
    monkeypatch.setattr(_inspected, "_open", lambda pid, before: peer.port)
    monkeypatch.setattr(_inspected, "CLOSE_PATIENCE_S", 0.0)
    (said,) = _inspected.main([str(os.getpid()), "0", str(tmp_path / "out"), "99"])
    peer.close()
    assert said.startswith(f"{REMARK}the inspector stays open on 127.0.0.1:{peer.port}")


def test_a_debugger_that_ends_the_session_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = Inspector(breaks=True)
    attached(monkeypatch, peer)
    (said,) = _inspected.main([str(os.getpid()), "0", str(tmp_path / "out"), "99"])
    peer.close()
    assert "ended the session" in said


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    peer = Inspector()
    attached(monkeypatch, peer)
    (said,) = _inspected.main([str(os.getpid()), "0", "/dev/full", "99"])
    peer.close()
    assert "no space left" in said
    assert "TMPDIR" in said


class TestOpen:
    """SIGUSR1 is sent only where it opens an inspector."""

    @pytest.fixture
    def sent(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
        signals: list[tuple[int, int]] = []
        monkeypatch.setattr(os, "kill", lambda pid, number: signals.append((pid, number)))
        monkeypatch.setattr(_inspected, "OPEN_PATIENCE_S", 0.0)
        monkeypatch.setattr(_inspected, "handles", lambda pid, number: True)
        monkeypatch.setattr(_inspected, "_holder", lambda port, pid: "")
        return signals

    def test_a_process_that_it_would_end_gets_none(
        self, sent: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_inspected, "handles", lambda pid, number: False)
        with pytest.raises(Refused, match=r"--inspect=127\.0\.0\.1:0"):
            _inspected._open(7, set())
        assert sent == []

    def test_this_process_does_not_handle_it(self) -> None:
        assert not handles(os.getpid(), signal.SIGUSR1)
        assert handles(os.getpid(), signal.SIGINT)

    def test_a_port_that_another_debugger_holds_is_named(
        self, sent: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_inspected, "_holder", lambda port, pid: "PID 8")
        with pytest.raises(Refused, match=r"9229.* is held by PID 8: end that debugger"):
            _inspected._open(7, set())
        assert sent == []

    def test_no_port_means_that_the_program_took_the_signal(
        self, sent: list[tuple[int, int]]
    ) -> None:
        with pytest.raises(Refused, match="handles the signal itself"):
            _inspected._open(7, set())
        assert sent == [(7, signal.SIGUSR1)]

    def test_a_signal_that_is_not_permitted(
        self, sent: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(pid: int, number: int) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "kill", refuse)
        with pytest.raises(Refused, match="as the user of the server, or as root"):
            _inspected._open(7, set())

    def test_a_process_that_is_gone(self) -> None:
        with pytest.raises(Refused, match="the process was gone"):
            _inspected._open(2**22 + 1, set())


@pytest.mark.parametrize(
    ("words", "ports", "port"),
    [
        pytest.param(["node", "app.js"], {8080}, None, id="closed"),
        pytest.param(["node", "app.js"], {8080, 9229}, 9229, id="opened by a signal"),
        pytest.param(["node", "--inspect", "app.js"], {8080, 9229}, 9229, id="by an option"),
        pytest.param(["--inspect=0.0.0.0:9300"], {8080, 9300}, 9300, id="on a port"),
        pytest.param(["--inspect=9300"], {8080}, None, id="closed since"),
        pytest.param(["--inspect=127.0.0.1:0"], {8080, 40000}, 40000, id="on any port"),
    ],
)
def test_an_inspector_that_is_open_is_found(
    words: list[str], ports: set[int], port: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def target(port: int) -> str:
        if port == 8080:
            raise Refused("it is the server")
        return "/uuid"

    monkeypatch.setattr(_inspected, "_words", lambda pid: words)
    monkeypatch.setattr(_inspected, "_target", target)
    assert _inspected._opened_before(7, ports) == port
