"""What counts as an answer of a server that is ready; the connection is made up."""

from __future__ import annotations

import socket
import ssl
from types import SimpleNamespace, TracebackType

import pytest

from diagnose.server import readiness
from diagnose.server.readiness import Seen, knock, knock_h2

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class FakeSocket:
    """A connection that answers in the given pieces; then it is closed."""

    def __init__(self, pieces: list[bytes | Exception]) -> None:
        self.pieces = pieces
        self.sent = b""
        self.closed = False
        self.timeouts: list[float] = []

    def __enter__(self) -> FakeSocket:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def settimeout(self, seconds: float) -> None:
        assert 0 < seconds <= 1.5
        self.timeouts.append(seconds)

    def recv(self, size: int) -> bytes:
        assert size > 0
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece


def answered(monkeypatch: pytest.MonkeyPatch, *pieces: bytes | Exception) -> Seen:
    fake = FakeSocket(list(pieces))
    monkeypatch.setattr(socket, "create_connection", lambda *_: fake)
    seen = knock("127.0.0.1", 8080, REQUEST, False, 1.5)
    assert fake.sent == REQUEST
    assert fake.closed
    return seen


@pytest.mark.parametrize("status", [200, 301, 404, 501, 505])
def test_any_answer_is_of_a_server_that_serves(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    line = b"HTTP/1.1 %d Whatever\r\n" % status
    assert answered(monkeypatch, line) == Seen(True, f"status {status}")


@pytest.mark.parametrize("status", [502, 503, 504])
def test_not_yet(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    line = b"HTTP/1.1 %d Wait\r\n\r\n" % status
    assert answered(monkeypatch, line) == Seen(False, f"status {status}")


def test_a_trickle_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is for the whole line: a byte now and then does not extend it."""
    clock = [100.0]

    def tick() -> float:
        clock[0] += 0.4
        return clock[0]

    monkeypatch.setattr(readiness, "time", SimpleNamespace(monotonic=tick))
    fake = FakeSocket([b"H", b"T", b"T", b"P", TimeoutError("timed out")])
    monkeypatch.setattr(socket, "create_connection", lambda *_: fake)
    assert knock("127.0.0.1", 8080, REQUEST, False, 1.5).silent
    assert fake.timeouts == pytest.approx([1.1, 0.7, 0.3, 0.001, 0.001])


def wrong_version() -> ssl.SSLError:
    """What TLS says of an answer in plain text."""
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    error.reason = "WRONG_VERSION_NUMBER"
    return error


class TestTls:
    """The same over TLS."""

    class Context:
        """In place of an SSLContext: keeps what it wraps."""

        def __init__(self, error: Exception | None = None) -> None:
            self.error = error
            self.wrapped: list[FakeSocket] = []

        def wrap_socket(self, sock: FakeSocket) -> FakeSocket:
            self.wrapped.append(sock)
            if self.error is not None:
                raise self.error
            return sock

    def knocked(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception | None, *pieces: bytes
    ) -> tuple[Seen, FakeSocket, Context]:
        fake, context = FakeSocket(list(pieces)), self.Context(error)
        monkeypatch.setattr(socket, "create_connection", lambda *_: fake)
        monkeypatch.setattr(readiness, "client_context", lambda *_: context)
        return knock("127.0.0.1", 8443, REQUEST, True, 1.5), fake, context

    def test_an_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen, fake, context = self.knocked(monkeypatch, None, b"HTTP/1.1 200 OK\r\n")
        assert seen == Seen(True, "status 200")
        assert context.wrapped == [fake]

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (wrong_version(), "it answers without TLS"),
            (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
            (TimeoutError("timed out"), "no answer within 1.5 s"),
        ],
    )
    def test_no_handshake(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
    ) -> None:
        seen, fake, _ = self.knocked(monkeypatch, error)
        assert not seen.ready
        assert said in seen.said
        assert fake.closed


SETTINGS = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"
H2_ANSWERS = {
    "settings": ([SETTINGS], True, "HTTP/2"),
    "empty_settings": ([b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"], True, "HTTP/2"),
    "byte_by_byte": ([bytes([byte]) for byte in SETTINGS], True, "HTTP/2"),
    "goaway": ([b"\x00\x00\x08\x07\x00\x00\x00\x00\x00"], False, "not HTTP/2"),
    "http_1": ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], False, "not HTTP/2: b'HTTP/1.1 400"),
    "cut_off": ([SETTINGS[:8]], False, "not HTTP/2"),
    "closed": ([], False, "not HTTP/2: b''"),
    "timeout": ([TimeoutError("timed out")], False, "no answer within 1.5 s"),
    "reset": ([ConnectionResetError(104, "Connection reset by peer")], False, "reset by peer"),
}


@pytest.mark.parametrize(("pieces", "ready", "said"), H2_ANSWERS.values(), ids=H2_ANSWERS.keys())
def test_http_2(
    monkeypatch: pytest.MonkeyPatch, pieces: list[bytes | Exception], ready: bool, said: str
) -> None:
    fake = FakeSocket(list(pieces))
    monkeypatch.setattr(socket, "create_connection", lambda *_: fake)
    seen = knock_h2("127.0.0.1", 8082, False, 1.5)
    assert seen.ready is ready
    assert said in seen.said
    # Source: RFC 9113, 3.4: the preface, and a SETTINGS frame that may be empty.
    assert fake.sent == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"
    assert fake.closed


ANSWERS = {
    "http_1_0": ([b"HTTP/1.0 200 OK\r\n"], True, "status 200"),
    "no_reason": ([b"HTTP/1.1 200\r\n"], True, "status 200"),
    "byte_by_byte": ([bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\n"], True, "status 200"),
    "cut_between_line_ends": ([b"HTTP/1.1 503 No\r", b"\n"], False, "status 503"),
    "with_a_body": ([b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nHTTP/1.1 503 \r\n"], True, "status 200"),
    "closed": ([], False, "closed without an answer"),
    "garbage": ([b"hello\r\n"], False, "not HTTP/1.x: b'hello'"),
    "http_2": ([b"\x00\x00\x12\x04\x00\x00\x00\x00\x00"], False, "not HTTP/1.x"),
    "only_a_version": ([b"HTTP/1.1\r\n"], False, "not HTTP/1.x"),
    "empty_line": ([b"\r\n"], False, "not HTTP/1.x"),
    "two_digits": ([b"HTTP/1.1 20"], False, "not HTTP/1.x: b'HTTP/1.1 20'"),
    "one_digit": ([b"HTTP/1.1 5"], False, "not HTTP/1.x"),
    "word": ([b"HTTP/1.1 abc \r\n"], False, "not HTTP/1.x"),
    "four_digits": ([b"HTTP/1.1 2000 OK\r\n"], False, "not HTTP/1.x"),
    "endless": ([b"x" * 1000] * 50, False, "not HTTP/1.x"),
    "timeout": ([TimeoutError("timed out")], False, "no answer within 1.5 s"),
    "timeout_in_the_line": ([b"HTTP/1.1 ", TimeoutError()], False, "no answer within 1.5 s"),
    "reset": ([ConnectionResetError(104, "Connection reset by peer")], False, "reset by peer"),
    "other_error": ([OSError("strange")], False, "strange"),
}


@pytest.mark.parametrize(("pieces", "ready", "said"), ANSWERS.values(), ids=ANSWERS.keys())
def test_answers(
    monkeypatch: pytest.MonkeyPatch, pieces: list[bytes | Exception], ready: bool, said: str
) -> None:
    seen = answered(monkeypatch, *pieces)
    assert seen.ready is ready
    assert seen.silent == ("no answer within" in said)
    assert said in seen.said
    assert len(seen.said) < 200


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "refused"),
        (TimeoutError("timed out"), "no answer within 1.5 s"),
        (OSError(101, "Network is unreachable"), "Network is unreachable"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
    ],
    ids=["refused", "timeout", "unreachable", "unknown_name"],
)
def test_no_connection(monkeypatch: pytest.MonkeyPatch, error: OSError, said: str) -> None:
    def fail(address: tuple[str, int], timeout: float) -> socket.socket:
        assert address == ("127.0.0.1", 8080)
        assert timeout == 1.5
        raise error

    monkeypatch.setattr(socket, "create_connection", fail)
    seen = knock("127.0.0.1", 8080, REQUEST, False, 1.5)
    assert not seen.ready
    assert said in seen.said
