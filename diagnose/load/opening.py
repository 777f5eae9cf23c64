"""Opens and closes the connections of one worker, and counts how that went.

Nothing here knows what is sent on them.
"""

from __future__ import annotations

import errno
import heapq
import os
import select
import socket
import ssl
import time

from diagnose.load.accounting import SO_TIMESTAMPNS
from diagnose.load.connection import KEEPERS, LINGER_RESET, Connection, TemplateState
from diagnose.load.pacing import piece
from diagnose.load.requests import prepare_for
from diagnose.load.tally import Tally
from diagnose.model.load import Failure, LoadPlan
from diagnose.tls import client_context

STREAM = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
SOCKET, LINGER = socket.SOL_SOCKET, socket.SO_LINGER
ON_ITS_WAY = (0, errno.EINPROGRESS)
IN, OUT = select.EPOLLIN, select.EPOLLOUT
# Left to itself the kernel grows the send buffers of hundreds of uploads past its TCP memory limit
# and then starves some of them. Bounded, 256 uploads went 2 to 3 times as fast, and evenly. Of 64,
# 128 and 256 KiB, 128 was the steadiest: 9 to 10 GB/s into the reference server, 256 took 4 to 8.
SEND_BUFFER = 128 * 1024
# A slow reader must not have a buffer that takes the whole answer, but some pieces of it: with one
# piece the window opens too late, and 100 kB/s became 60.
SLOW_RECEIVE_BUFFER = 4096
SLOW_PIECES = 4
MIN_LAG_SOCKETS = 2
LAG_SHARE = 64
RETRY_S = 0.05
# Source: ip(7): the port is chosen at connect, so that one port serves several destinations.
IP_BIND_ADDRESS_NO_PORT = 24


class Opening:
    """The connections of a worker as sockets: opened, established, lost, opened again."""

    def __init__(self, plan: LoadPlan) -> None:
        self.plan = plan
        scenario = plan.scenario
        host = f"[{plan.address}]" if ":" in plan.address else plan.address
        known = {}
        for template in scenario.templates:
            if template.name not in known:
                prepared = prepare_for(scenario, template, f"{host}:{plan.port}")
                known[template.name] = TemplateState(template, prepared)
        self.states = list(known.values())
        self.rotation = [known[template.name] for template in scenario.templates]
        self._family = socket.AF_INET6 if ":" in plan.address else socket.AF_INET
        self._target = (plan.address, plan.port)
        self._tls = client_context() if scenario.tls else None
        self._per_connection = scenario.requests_per_connection
        # Nagle's algorithm holds back small pieces while others are unacknowledged. One request
        # that goes out in one write is never held back, and the option costs a system call.
        self._nodelay = (
            scenario.pipeline > 1
            or bool(scenario.send_rate)
            or scenario.tls
            or any(state.body is not None or state.opening for state in self.states)
        )
        self._slow_read = scenario.read_rate > 0
        self._epoll = select.epoll()
        self._by_fd: dict[int, Connection] = {}
        count = len(self.rotation)
        self.connections = [
            Connection(index, index % count, self.rotation[index % count])
            for index in range(plan.first, plan.total_connections, plan.step)
        ]
        # Reading with a time stamp costs more: a few of the connections are enough to know.
        timed = min(plan.lag_sockets, max(MIN_LAG_SOCKETS, len(self.connections) // LAG_SHARE))
        if not scenario.tls and not self._slow_read:
            for connection in self.connections[:timed]:
                connection.lag = True
        for place, connection in enumerate(self.connections):
            connection.keeper = place < KEEPERS * count
            connection.special = connection.lag or scenario.tls
        self._later: list[tuple[float, int, Connection, bool]] = []
        self._drawn = 0
        self.phase = "connect"
        self.tally = Tally()
        self.in_flight = 0
        self.body_in_flight = 0
        self.established = 0
        self._sending = False

    # -- what a connection carries: see Exchange -------------------------------------------------

    def _begin(self, connection: Connection, now: float) -> None:
        """The connection stands: requests may be sent on it."""
        raise NotImplementedError

    # -- opening -------------------------------------------------------------------------------

    def _open(self, connection: Connection, now: float) -> None:
        state = connection.state = self.rotation[connection.template]
        connection.clear(now)
        if state.varies:
            self._draw(connection, state)
        else:
            connection.request = state.request
            connection.expected = state.expected
            connection.own = state.good
        try:
            sock, code = self._connecting(connection, state)
        except OSError as error:
            self._not_connected(connection, error.errno or 0, now)
            return
        connection.sock = sock
        connection.fd = fd = sock.fileno()
        if code not in ON_ITS_WAY:
            self._not_connected(connection, code, now)
            return
        self._by_fd[fd] = connection
        # On loopback the handshake is over when connect returns, unless the backlog is full.
        if self._sending and _stands(sock):
            self._epoll.register(fd, 0 if self._slow_read else IN)
            self._connected(connection, now)
        else:
            self._epoll.register(fd, IN | OUT)
            connection.writing = True

    def _draw(self, connection: Connection, state: TemplateState) -> None:
        number = self.plan.first + self._drawn * self.plan.step
        self._drawn += 1
        request, connection.expected = state.prepared.drawn(state.template, number)
        connection.own = {}
        connection.known = None
        connection.request = request

    def _connecting(
        self, connection: Connection, state: TemplateState
    ) -> tuple[socket.SocketType, int]:
        """A non-blocking socket on its way, and the error number of connect.

        Its close sends a reset, so that the client keeps no TIME_WAIT; the benchmark's generator
        closes the same way.

        Raises: OSError.
        """
        # The class in C makes a socket in half the time of its subclass, which TLS needs.
        make = socket.SocketType if self._tls is None else socket.socket
        sock = make(self._family, STREAM)
        try:
            if self._nodelay:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(SOCKET, LINGER, LINGER_RESET)
            if connection.lag:
                sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            if state.body is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            if self._slow_read:
                size = max(SLOW_RECEIVE_BUFFER, SLOW_PIECES * piece(self.plan.scenario.read_rate))
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
            if self.plan.sources:
                place = connection.index // max(1, self.plan.per_source)
                sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((self.plan.sources[place % len(self.plan.sources)], 0))
            return sock, sock.connect_ex(self._target)
        except OSError:
            sock.close()
            raise

    def _connected(self, connection: Connection, now: float) -> None:
        """TCP is established."""
        connection.connected = True
        self.established += 1
        self.tally.connect_times.append(time.monotonic() - connection.opened)
        if self._tls is not None:
            self._start_tls(connection, now)
        else:
            self._begin(connection, now)

    def _finish_connect(self, connection: Connection, now: float) -> None:
        """A connection that was on its way became writable: it stands, or it failed."""
        assert connection.sock is not None
        code = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._not_connected(connection, code, now)
            return
        if _stands(connection.sock):
            self._watch(connection, False)
            self._connected(connection, now)

    def _not_connected(self, connection: Connection, code: int, now: float) -> None:
        kind = {
            errno.ECONNREFUSED: Failure.REFUSED,
            errno.ETIMEDOUT: Failure.CONNECT_TIMEOUT,
        }.get(code, Failure.CONNECT_ERROR)
        self.tally.fail(connection.state, kind, os.strerror(code), 1)
        self._forget(connection)
        self._plan_open(now + RETRY_S, connection)

    # -- TLS -----------------------------------------------------------------------------------

    def _start_tls(self, connection: Connection, now: float) -> None:
        assert self._tls is not None
        assert isinstance(connection.sock, socket.socket)
        connection.shaking = True
        try:
            connection.tls = self._tls.wrap_socket(
                connection.sock, do_handshake_on_connect=False, suppress_ragged_eofs=True
            )
        except OSError as error:
            self._tls_failed(connection, error, now)
            return
        connection.sock = connection.tls
        self._shake(connection, now)

    def _shake(self, connection: Connection, now: float) -> None:
        """Go on with the TLS handshake."""
        assert connection.tls is not None
        try:
            connection.tls.do_handshake()
        except ssl.SSLWantReadError:
            self._watch(connection, False)
            return
        except ssl.SSLWantWriteError:
            self._watch(connection, True)
            return
        except OSError as error:
            self._tls_failed(connection, error, now)
            return
        connection.shaking = False
        self._watch(connection, False)
        self._begin(connection, now)

    def _tls_failed(self, connection: Connection, error: OSError, now: float) -> None:
        detail = f"TLS handshake: {getattr(error, 'reason', None) or error.strerror or error}"
        self.tally.fail(connection.state, Failure.CONNECT_ERROR, detail, 1)
        self._reopen(connection, now, RETRY_S)

    # -- closing, and opening again ------------------------------------------------------------

    def _forget(self, connection: Connection) -> None:
        """The socket is closed, and what was in flight on it is gone."""
        if connection.sock is not None:
            self._by_fd.pop(connection.fd, None)
            connection.sock.close()
            connection.sock = connection.tls = None
        if connection.connected:
            self.established -= 1
        connection.connected = False
        connection.fd = -1
        self.in_flight -= connection.in_flight * connection.state.weight
        connection.in_flight = 0
        self.body_in_flight -= connection.body_out
        connection.body_out = 0

    def _reopen(self, connection: Connection, now: float, delay: float = 0.0) -> None:
        """Close, and open again with the next template, as the benchmark's generator does."""
        self._forget(connection)
        connection.template = (connection.template + 1) % len(self.rotation)
        if not self._sending:
            # A server that ends idle connections before the load begins gets them again with it.
            if self.phase == "connect":
                self._plan_open(now + RETRY_S, connection)
            return
        if delay:
            self._plan_open(now + delay, connection)
            return
        self.tally.opens += 1
        self._open(connection, now)

    def _plan_open(self, when: float, connection: Connection, *, first: bool = False) -> None:
        """Open it later. first: it never was open before."""
        heapq.heappush(self._later, (when, connection.index, connection, first))

    def _open_due(self, now: float) -> None:
        """Open what was planned for now or before."""
        while self._later and self._later[0][0] <= now:
            _, _, connection, first = heapq.heappop(self._later)
            if connection.sock is None and (self._sending or self.phase == "connect"):
                self.tally.opens += not first
                self._open(connection, now)

    def _watch(self, connection: Connection, writing: bool) -> None:
        """Wait for room to write as well, or no longer."""
        if connection.writing != writing:
            connection.writing = writing
            reading = 0 if self._slow_read and not connection.shaking else IN
            self._epoll.modify(connection.fd, reading | OUT if writing else reading)


def _stands(sock: socket.SocketType) -> bool:
    """The TCP handshake is over."""
    try:
        sock.getpeername()
    except OSError:
        return False
    return True
