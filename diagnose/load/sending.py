"""Requests out: what is sent on a connection that stands, and when.

A closed loop sends at once, an open loop when the schedule says so, a slow sender in pieces.
"""

from __future__ import annotations

import errno
import heapq
import os
import socket
import ssl
import time
from collections import deque

from diagnose.load.connection import LINGER_RESET, NOTHING, Connection
from diagnose.load.opening import IN, LINGER, ON_ITS_WAY, OUT, SOCKET, STREAM, Opening
from diagnose.load.pacing import Schedule, piece
from diagnose.model.load import LoadPlan

READ_SIZE = 64 * 1024
# One call of sendfile moves 64 KiB at a time through a pipe of 16 pages. Slices of that size took
# 0.11 s of CPU for a gigabyte at 8 to 9 GB/s; with 256 KiB, 0.5 s at 2 GB/s (four runs each).
SEND_SIZE = 64 * 1024
# What TLS is given at once: it encrypts records of 16 KiB.
TLS_SEND_SIZE = 64 * 1024
# What is held back of a body until all others are there.
HELD_BACK = 1
NEVER = float("inf")


class Sending(Opening):
    """What is sent on the connections of a worker."""

    def __init__(self, plan: LoadPlan) -> None:
        super().__init__(plan)
        scenario = plan.scenario
        bodies = any(state.body is not None for state in self.states)
        self._pipeline = 1 if bodies else scenario.pipeline
        self._send_piece = piece(scenario.send_rate) if scenario.send_rate else 0
        self._read_piece = piece(scenario.read_rate) if scenario.read_rate else 0
        self._schedule: Schedule | None = None
        self._idle: deque[Connection] = deque()
        # The fast path sends the next request at once: only a closed loop at full speed may.
        self._fast = not (scenario.rate or scenario.tls or scenario.send_rate or scenario.read_rate)
        self._timers: list[tuple[float, int, Connection, float, bool]] = []
        self._timer_count = 0
        self._holding = False
        self._moved = 0.0
        self._began = 0.0
        # When something is due before the next tick: a request of an open loop, a paced piece.
        self._wake = NEVER

    # -- what comes back: see Exchange -----------------------------------------------------------

    def _received(self, connection: Connection, data: bytes, now: float) -> None:
        raise NotImplementedError

    def _next(self, connection: Connection, now: float) -> None:
        """After answers: send more, or close when this connection has had its share."""
        raise NotImplementedError

    def _lost(
        self, connection: Connection, error: OSError, now: float, *, sending: bool = False
    ) -> None:
        """A reset, or a write to a connection that the server had closed."""
        raise NotImplementedError

    # -- requests ------------------------------------------------------------------------------

    def _begin(self, connection: Connection, now: float) -> None:
        """The connection stands: say what must be said before requests, or send them."""
        if self._read_piece:
            self._set_timer(now, connection, reading=True)
        opening = connection.state.opening
        if opening and (self._sending or self.phase == "connect"):
            connection.upgrading = b""
            connection.last = now
            self._put(connection, opening, now)
            return
        self._more(connection, now)

    def _turn_over(self, connection: Connection, now: float) -> None:
        """Close a connection that has nothing in flight, open the next and send on it.

        The same as `_reopen`, in one piece for plain small requests of a closed loop: loads that
        reconnect spend most of their time here.
        """
        template = (connection.template + 1) % len(self.rotation)
        state = self.rotation[template]
        sock = connection.sock
        if (
            not (state.plain and self._fast and self._sending)
            or sock is None
            or connection.lag
            or self.plan.sources
            or connection.pending
            or not connection.parser.idle
        ):
            self._reopen(connection, now)
            return
        sock.close()
        connection.template = template
        if state is not connection.state:
            connection.state = state
            connection.request = state.request
            connection.expected = state.expected
            connection.own = state.good
            connection.keep_bodies()
        connection.before += connection.served
        connection.served = 0
        connection.sent = connection.last = connection.opened = now
        connection.announced = connection.timed_out = connection.writing = False
        connection.good = NOTHING
        connection.latest = None
        self.tally.opens += 1
        try:
            connection.sock = sock = socket.SocketType(self._family, STREAM)
            if self._nodelay:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(SOCKET, LINGER, LINGER_RESET)
            code = sock.connect_ex(self._target)
        except OSError as error:
            self._not_at_once(connection, error.errno or errno.EMFILE, error, now)
            return
        fd = sock.fileno()
        # The kernel gives the lowest free number, which is most often the one just closed.
        if fd != connection.fd:
            del self._by_fd[connection.fd]
            self._by_fd[fd] = connection
            connection.fd = fd
        count = self._pipeline
        if self._per_connection:
            count = min(count, self._per_connection)
        request = connection.request * count if count > 1 else connection.request
        try:
            written = os.write(fd, request)
        except OSError as error:
            self._not_at_once(connection, code, error, now)
            return
        self._epoll.register(fd, IN)
        self.tally.connect_times.append(time.monotonic() - now)
        connection.in_flight = count
        self.in_flight += count
        if self._pipeline > 1:
            connection.queue.append((now, count))
        self.tally.bytes_sent += written
        if written != len(request):
            self._pend(connection, request[written:])
        else:
            connection.good = state.good
            connection.latest = state.known

    def _not_at_once(self, connection: Connection, code: int, error: OSError, now: float) -> None:
        """A connection that was turned over does not stand yet, because the backlog is full; or it
        was refused."""
        self.established -= 1
        connection.connected = False
        if code in ON_ITS_WAY and isinstance(error, BlockingIOError):
            self._epoll.register(connection.fd, IN | OUT)
            connection.writing = True
        else:
            self._not_connected(connection, code or error.errno or 0, now)

    def _room(self, connection: Connection) -> int:
        """How many requests may be sent now."""
        room = self._pipeline - connection.in_flight
        if self._per_connection:
            left = self._per_connection - connection.served - connection.in_flight
            room = min(room, left)
        return room

    def _more(self, connection: Connection, now: float) -> None:
        """Send what a closed loop sends now, or wait for what is due."""
        if self._schedule is not None:
            if self._room(connection) > 0:
                self._wait_idle(connection)
                self._dispatch(now)
            return
        self._refill(connection, self._room(connection), now)

    def _dispatch(self, now: float) -> None:
        """Send the requests of the open loop that are due, on connections that are free."""
        schedule = self._schedule
        if schedule is None:
            return
        idle = self._idle
        while idle and schedule.next_due <= now and self._sending:
            connection = idle.popleft()
            connection.waiting = False
            if not self._free(connection):
                continue
            self._refill(connection, 1, now, schedule.take())
            if connection.connected and self._room(connection) > 0:
                self._wait_idle(connection)
        self._reckon_wake()

    def _free(self, connection: Connection) -> bool:
        """A request can be sent on it now."""
        return (
            connection.connected
            and not connection.announced
            and not connection.shaking
            and connection.upgrading is None
            and connection.offset < 0
            and self._room(connection) > 0
        )

    def _wait_idle(self, connection: Connection) -> None:
        """Stand in the row of free connections, once."""
        if not connection.waiting:
            connection.waiting = True
            self._idle.append(connection)

    def _reckon_wake(self) -> None:
        wake = self._timers[0][0] if self._timers else NEVER
        if self._schedule is not None and self._idle and self._sending:
            wake = min(wake, self._schedule.next_due)
        self._wake = wake

    def _refill(
        self, connection: Connection, count: int, now: float, due: float | None = None
    ) -> None:
        """Send `count` requests. due: when an open loop wanted them sent."""
        if count <= 0 or not self._sending or connection.announced or not connection.connected:
            return
        if connection.upgrading is not None or connection.shaking:
            return
        state = connection.state
        # The first request of a connection is due when the connection is: the time in a full
        # backlog is the client's wait too.
        if due is None:
            fresh = connection.served == 0 and connection.in_flight == 0
            due = connection.opened if fresh and connection.opened >= self._began else now
        if not connection.in_flight:
            connection.sent = due
        connection.last = max(now, connection.last)
        connection.timed_out = False
        if self._pipeline > 1:
            connection.queue.append((due, count))
        connection.in_flight += count
        self.in_flight += count * state.weight
        if state.body is not None:
            connection.offset = 0
        self._put(connection, connection.request * count if count > 1 else connection.request, now)
        if connection.offset == 0 and not connection.pending and not self._send_piece:
            self._send_body(connection, now)
        else:
            self._settle(connection)

    def _settle(self, connection: Connection) -> None:
        """Whether the fast path may serve the connection now."""
        if (
            self._fast
            and self._sending
            and connection.state.body is None
            and connection.offset < 0
            and not connection.pending
            and connection.upgrading is None
            and connection.parser.idle
        ):
            connection.good = connection.own
            state = connection.state
            connection.latest = connection.known if state.varies else state.known
        else:
            connection.good = NOTHING
            connection.latest = None

    def _put(self, connection: Connection, data: bytes, now: float) -> None:
        """Send bytes, or what the kernel takes of them now and the rest later."""
        if self._send_piece:
            connection.pending += data
            self._set_timer(now, connection, reading=False)
            return
        if connection.pending:
            connection.pending += data
            return
        try:
            written = self._write(connection, data)
        except BlockingIOError:
            written = 0
        except OSError as error:
            self._broken(connection, error, now)
            return
        self.tally.bytes_sent += written
        if written != len(data):
            self._pend(connection, data[written:])

    @staticmethod
    def _write(connection: Connection, data: bytes) -> int:
        """Raises: BlockingIOError when nothing can be written now; OSError of the socket."""
        if connection.tls is None:
            return os.write(connection.fd, data)
        try:
            return connection.tls.send(data)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError) as error:
            raise BlockingIOError from error

    def _pend(self, connection: Connection, rest: bytes) -> None:
        connection.pending += rest
        connection.good = NOTHING
        connection.latest = None
        self._watch(connection, True)

    def _write_failed(
        self, connection: Connection, request: bytes, error: OSError, now: float
    ) -> None:
        if isinstance(error, BlockingIOError):
            self._pend(connection, request)
        else:
            self._broken(connection, error, now)

    def _broken(self, connection: Connection, error: OSError, now: float) -> None:
        """The server closed while we were sending; an answer may still lie in our buffer."""
        sock = connection.sock
        data = b""
        if connection.tls is None:
            try:
                data = os.read(connection.fd, READ_SIZE)
            except OSError:
                data = b""
        # As long as something is left to send, no further request goes out after the answer.
        connection.pending = connection.pending or b"rest"
        if data:
            self._received(connection, data, now)
        # A descriptor's number may be that of its successor; the socket object is not.
        if connection.sock is sock:
            self._lost(connection, error, now, sending=True)

    def _writable(self, connection: Connection, now: float) -> None:
        if not connection.connected:
            self._finish_connect(connection, now)
            return
        if connection.shaking:
            self._shake(connection, now)
            return
        if connection.pending and not self._send_pending(connection, len(connection.pending), now):
            return
        if connection.pending:
            return
        if connection.offset >= 0:
            self._send_body(connection, now)
        else:
            self._watch(connection, False)
            self._settle(connection)

    def _send_pending(self, connection: Connection, limit: int, now: float) -> int:
        """Send what was left over; the bytes sent, 0 when that did not work."""
        try:
            written = self._write(connection, connection.pending[:limit])
        except BlockingIOError:
            return 0
        except OSError as error:
            self._broken(connection, error, now)
            return 0
        self.tally.bytes_sent += written
        connection.last = now
        connection.pending = connection.pending[written:]
        return written

    def _send_body(self, connection: Connection, now: float, limit: int = SEND_SIZE) -> int:
        """Send as much of the body as the kernel takes in one call; the number of bytes."""
        state = connection.state
        body = state.body
        assert body is not None
        paced = self._send_piece > 0
        if self._holding:
            limit = min(limit, body.wire_length - HELD_BACK - connection.offset)
            if limit <= 0:
                self._watch(connection, False)
                return 0
        try:
            if connection.tls is None:
                written = body.send(connection.fd, connection.offset, limit)
            else:
                written = self._write(
                    connection, body.read(connection.offset, min(limit, TLS_SEND_SIZE))
                )
        except BlockingIOError:
            self._watch(connection, not paced)
            return 0
        except OSError as error:
            self._broken(connection, error, now)
            return 0
        self._moved = now
        connection.offset += written
        connection.body_out += written
        connection.last = now
        self.tally.bytes_sent += written
        self.tally.body_sent += written
        self.body_in_flight += written
        if connection.offset < body.wire_length:
            self._watch(connection, not paced)
            return written
        connection.offset = -1
        self._watch(connection, False)
        if not state.any:
            state.body_sents.append(now - connection.sent)
        if not connection.in_flight:
            self._body_over(connection)
            self._next(connection, now)
        return written

    # -- paced pieces --------------------------------------------------------------------------

    def _set_timer(self, when: float, connection: Connection, *, reading: bool) -> None:
        self._timer_count += 1
        heapq.heappush(
            self._timers, (when, self._timer_count, connection, connection.opened, reading)
        )
        self._wake = min(self._wake, when)

    def _woken(self, now: float) -> None:
        """Do what is due."""
        timers = self._timers
        while timers and timers[0][0] <= now:
            _, _, connection, opened, reading = heapq.heappop(timers)
            # The connection that the timer was set for may be gone.
            if connection.opened != opened or not connection.connected:
                continue
            if reading:
                self._read_slowly(connection, now)
            else:
                self._send_slowly(connection, now)
        self._dispatch(now)
        self._reckon_wake()

    def _send_slowly(self, connection: Connection, now: float) -> None:
        opened = connection.opened
        budget = self._send_piece
        sent = 0
        if connection.pending:
            sent = self._send_pending(connection, budget, now)
        if connection.opened == opened and not connection.pending and connection.offset >= 0:
            sent += self._send_body(connection, now, max(1, budget - sent))
        if connection.opened != opened:
            return
        if connection.pending or connection.offset >= 0:
            wait = max(1, sent) / self.plan.scenario.send_rate
            self._set_timer(now + wait, connection, reading=False)

    def _read_slowly(self, connection: Connection, now: float) -> None:
        opened = connection.opened
        try:
            data = self._read(connection, self._read_piece)
        except BlockingIOError:
            pass
        except OSError as error:
            self._lost(connection, error, now)
        else:
            self._received(connection, data, now)
        if connection.opened == opened and connection.connected:
            wait = self._read_piece / self.plan.scenario.read_rate
            self._set_timer(now + wait, connection, reading=True)

    def _body_over(self, connection: Connection) -> None:
        self.body_in_flight -= connection.body_out
        connection.body_out = 0

    @staticmethod
    def _read(connection: Connection, size: int) -> bytes:
        """Raises: BlockingIOError when nothing has arrived; OSError of the socket."""
        if connection.tls is None:
            return os.read(connection.fd, size)
        try:
            return connection.tls.recv(size)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError from error
