"""Load over TLS: handshakes that fail or hang, and answers that arrive in several records."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diagnose.load import opening
from diagnose.load.connection import NOTHING
from diagnose.model.scenario import RequestTemplate
from reference_server.certificate import CERTIFICATE, KEY, make_certificate
from tests.load.rig import GET, OK, UPLOAD, Rig, SocketModule, make_plan, response, wire

PATIENCE_S = 10.0


class TlsSocket(socket.socket):
    """One end of a pair that TLS can wrap: a real socket, connected from the start."""

    servers: list[socket.socket]

    def __init__(self, family: int = -1, kind: int = -1, proto: int = -1, fileno: Any = None):
        if fileno is None:
            ours, server = socket.socketpair()
            server.setblocking(False)
            TlsSocket.servers.append(server)
            fileno = ours.detach()
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno)
        self.setblocking(False)

    def setsockopt(self, *_: Any) -> None:
        """Nothing of TCP is done."""

    def connect_ex(self, _: Any) -> int:
        """It is connected already."""
        return 0


@pytest.fixture(name="servers")
def _servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """The server's ends of the connections, closed in the end."""
    made: list[socket.socket] = []
    monkeypatch.setattr(TlsSocket, "servers", made, raising=False)
    module = SocketModule(TlsSocket)
    monkeypatch.setattr(module, "socket", TlsSocket, raising=False)
    monkeypatch.setattr(opening, "socket", module)
    yield made
    for each in made:
        each.close()


@pytest.fixture(name="rig")
def _rig(servers: list[socket.socket]) -> Iterator[Rig]:
    """A connection whose handshake has begun."""
    rig = Rig(make_plan(GET, tls=True, timeout_s=2.0))
    rig.engine._open(rig.first, time.monotonic())
    rig.engine._poll(0.0)
    assert rig.first.shaking
    yield rig
    rig.engine.close()


def test_the_handshake_comes_before_the_load(rig: Rig, servers: list[socket.socket]) -> None:
    # A record of type 22 (handshake), then TLS 1.0 for old middle boxes. Source: RFC 8446, 5.1.
    assert servers[0].recv(100).startswith(b"\x16\x03\x01")
    assert rig.engine.established == 1
    assert not rig.engine._all_stand()
    assert rig.first.good is NOTHING


def test_a_server_without_tls(rig: Rig, servers: list[socket.socket]) -> None:
    servers[0].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    rig.engine._poll(0.0)
    assert rig.failures() == {"connect_error": 1}
    assert rig.engine.tally.examples["connect_error"].detail.startswith("TLS handshake: ")
    assert rig.engine.established == 0


def test_a_server_that_ends_the_handshake(rig: Rig, servers: list[socket.socket]) -> None:
    servers[0].recv(10_000)
    servers[0].close()
    rig.engine._poll(0.0)
    assert rig.failures() == {"connect_error": 1}
    # Before the load it is opened again with it, and not at once.
    assert len(servers) == 1
    assert len(rig.engine._later) == 1


def test_a_handshake_that_hangs(rig: Rig, servers: list[socket.socket]) -> None:
    rig.engine._scan(time.monotonic() + 3.0)
    assert rig.failures() == {"timeout": 1}
    assert rig.engine.tally.examples["timeout"].detail.startswith("TLS handshake: no byte moved")


# -- with a certificate, which takes a program to make -------------------------------------------


@pytest.fixture(name="context", scope="module")
def _context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's, with a certificate that nobody signed."""
    directory: Path = tmp_path_factory.mktemp("tls") / "certificate"
    make_certificate(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / CERTIFICATE, directory / KEY)
    return context


class Served:
    """An engine over TLS and its server, both in this thread."""

    def __init__(
        self, context: ssl.SSLContext, servers: list[socket.socket], template: RequestTemplate
    ) -> None:
        self.rig = Rig(make_plan(template, tls=True))
        engine = self.rig.engine
        engine._open(self.rig.first, time.monotonic())
        engine._poll(0.0)
        self.line = context.wrap_socket(servers[0], server_side=True, do_handshake_on_connect=False)
        servers[0] = self.line
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert time.monotonic() < deadline
            try:
                self.line.do_handshake()
                break
            except ssl.SSLWantReadError:
                engine._poll(0.0)
        while self.rig.first.shaking:
            assert time.monotonic() < deadline
            engine._poll(0.0)

    def arrives(self, count: int) -> bytes:
        """So many bytes of requests."""
        data = b""
        deadline = time.monotonic() + PATIENCE_S
        while len(data) < count:
            assert time.monotonic() < deadline
            self.rig.turn(1)
            try:
                data += self.line.recv(count - len(data))
            except ssl.SSLWantReadError:
                continue
        return data


@pytest.mark.integration
@pytest.mark.parametrize("template", [GET, UPLOAD], ids=["small", "body"])
def test_requests_over_tls(
    context: ssl.SSLContext, servers: list[socket.socket], template: RequestTemplate
) -> None:
    served = Served(context, servers, template)
    for count in (1, 2, 3):
        assert served.arrives(len(wire(template))) == wire(template)
        served.line.sendall(OK)
        served.rig.run_to("ok", count)
    assert served.rig.failures() == {}
    # Every read goes through TLS: the fast path writes to the bare descriptor.
    assert served.rig.first.good is NOTHING
    served.rig.engine.close()


@pytest.mark.integration
def test_an_answer_in_several_records(
    context: ssl.SSLContext, servers: list[socket.socket]
) -> None:
    """What is decrypted already makes no descriptor readable: it must be read at once."""
    long = RequestTemplate("long", "GET", "/")
    served = Served(context, servers, long)
    served.arrives(len(wire(long)))
    answer = response(b"x" * 60_000)
    for start in range(0, len(answer), 1000):
        served.line.sendall(answer[start : start + 1000])
    served.rig.run_to("ok", 1)
    assert served.rig.engine.tally.bytes_received == len(answer)
    served.rig.engine.close()


@pytest.mark.integration
def test_the_end_of_a_tls_connection(context: ssl.SSLContext, servers: list[socket.socket]) -> None:
    served = Served(context, servers, GET)
    served.arrives(len(wire(GET)))
    served.line.close()
    served.rig.run("warmup", lambda: bool(served.rig.failures()))
    ((kind, count),) = served.rig.failures().items()
    assert kind in ("closed_before_response", "reset_before_response")
    assert count == 1
    served.rig.engine.close()
