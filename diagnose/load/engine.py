"""One load worker's epoll loop: opens its connections, keeps every one of them busy, counts.

The loop is written for the interpreter: raw descriptors, request bytes made beforehand, and answers
recognized whole by their exact bytes, so that a right answer costs one read, one dictionary look-up
and one write. Everything else takes the slow path through the parser, which decides what is right.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Callable

from diagnose.load.accounting import SO_TIMESTAMPNS, receipt_time, spent
from diagnose.load.check import wrong
from diagnose.load.connection import Connection, TemplateState, open_socket
from diagnose.load.http1 import FramingError, Response, parse_head
from diagnose.load.requests import prepare
from diagnose.load.tally import Mark, Tally, fresh_histograms, mark
from diagnose.model.load import Failure, LoadPlan, LoadTick

_IN, _OUT = select.EPOLLIN, select.EPOLLOUT
READ_SIZE = 64 * 1024
SEND_SIZE = 256 * 1024
# Left to itself the kernel grows the send buffers of hundreds of uploads past its TCP memory limit
# and then starves some of them. Bounded, 256 uploads went 2 to 3 times as fast, and evenly.
SEND_BUFFER = 256 * 1024
# What is held back of a body until all others are there.
HELD_BACK = 1
# A server that takes its memory for the first time was seen to read nothing for 1.5 s.
WAVE_STALL_S = 3.0
# Answers up to this size are recognized whole; hashing longer ones costs more than finding the
# end of their head.
RECOGNIZED = 2048
KNOWN_LIMIT = 4096
# JSON bodies that are parsed and compared: the first few of each template, then one in so many.
CHECK_FIRST = 16
CHECK_SHARE = 64
MIN_LAG_SOCKETS = 2
SCAN_S = 0.25
STALLED_S = 1.0
RETRY_S = 0.05


class Engine:
    """The connections of one worker and everything counted on them.

    emit: called with each LoadTick. Times are monotonic seconds.
    """

    def __init__(self, plan: LoadPlan, worker: int, emit: Callable[[LoadTick], None]) -> None:
        self.plan = plan
        self.worker = worker
        self._emit = emit
        scenario = plan.scenario
        host = f"[{plan.address}]" if ":" in plan.address else plan.address
        self.states = [
            TemplateState(template, prepare(template, f"{host}:{plan.port}"))
            for template in scenario.templates
        ]
        bodies = any(state.body is not None for state in self.states)
        self._pipeline = 1 if bodies else scenario.pipeline
        self._per_connection = scenario.requests_per_connection
        self._family = socket.AF_INET6 if ":" in plan.address else socket.AF_INET
        self._epoll = select.epoll()
        self._by_fd: dict[int, Connection] = {}
        self.connections = [
            Connection(index, index % len(self.states), self.states[index % len(self.states)])
            for index in range(plan.first, plan.total_connections, plan.step)
        ]
        # Reading with a time stamp costs more: a sixteenth of the connections is enough to know.
        timed = min(plan.lag_sockets, max(MIN_LAG_SOCKETS, len(self.connections) // 16))
        for connection in self.connections[:timed]:
            connection.lag = True
        self._retry: list[tuple[float, Connection]] = []
        self._control: Callable[[], bool] | None = None
        self._control_fd = -1
        self.phase = "connect"
        self.tally = Tally()
        self.in_flight = 0
        self.body_in_flight = 0
        self.established = 0
        self.late = 0
        self._stop = False
        self._sending = False
        self._holding = False
        self._moved = 0.0
        self._began = 0.0
        self._stalled = 0
        self._last_answer = 0.0

    # -- control -------------------------------------------------------------------------------

    def control(self, fd: int, handler: Callable[[], bool]) -> None:
        """Watch a descriptor; when readable, the handler says whether to stop."""
        self._control, self._control_fd = handler, fd
        self._epoll.register(fd, _IN)

    @property
    def stopped(self) -> bool:
        """The controlling process asked to stop early."""
        return self._stop

    # -- phases --------------------------------------------------------------------------------

    def connect(self) -> int:
        """Open all connections, paced; the number established when it ends.

        A batch waits until the batch before is established, so that a listen backlog of ordinary
        size never overflows; those that are still missing after `connect_s` go on in background.
        """
        deadline = time.monotonic() + self.plan.connect_s
        waiting = list(reversed(self.connections))
        while waiting and time.monotonic() < deadline and not self._stop:
            for _ in range(min(self.plan.connect_batch, len(waiting))):
                self._open(waiting.pop(), time.monotonic())
            patience = time.monotonic() + 0.05
            opened = len(self.connections) - len(waiting)
            while self.established < opened and time.monotonic() < patience and not self._stop:
                self._poll(0.005)
        while self.established < len(self.connections) and not self._stop:
            if time.monotonic() >= deadline:
                break
            self._poll(0.01)
        for connection in waiting:
            self._retry.append((time.monotonic(), connection))
        return self.established

    def run_until(self, phase: str, end: float, done: Callable[[], bool] = lambda: False) -> None:
        """Keep every connection busy until `end`; emits ticks. Returns early when stopped."""
        self.phase = phase
        if not self._sending:
            self._sending = True
            self._began = now = time.monotonic()
            for connection in self.connections:
                if connection.connected and not connection.in_flight:
                    self._refill(connection, self._room(connection), now)
        self._loop(end, done)

    def wave(self, end: float) -> int:
        """Send every connection's first body but its last byte, so that all are in flight at once.

        Ends when every body is there, when nothing has moved for 3 s (a server that reads one
        body after the other), or at `end`. `release` sends the rest.

        Returns: how many bodies are held.
        """
        self._holding = True
        self._moved = time.monotonic()
        self.run_until("wave", end, self._wave_over)
        return self._held()

    def rest(self, end: float, done: Callable[[], bool]) -> None:
        """Go on as it is, ticking, until `done`."""
        self._loop(end, done)

    def release(self) -> None:
        """Send the last bytes of the bodies that `wave` held back."""
        self._holding = False
        for connection in self.connections:
            if connection.offset >= 0:
                self._watch(connection, True)

    def _held(self) -> int:
        return sum(
            connection.offset >= 0
            and connection.state.body is not None
            and connection.offset >= connection.state.body.wire_length - HELD_BACK
            for connection in self.connections
        )

    def _wave_over(self) -> bool:
        return (
            self._held() == len(self.connections) or time.monotonic() - self._moved > WAVE_STALL_S
        )

    def drain(self, end: float) -> tuple[float, bool]:
        """Send nothing new; wait for what is in flight.

        Returns: seconds that it took, and whether anything was answered in its last two seconds.
        """
        self.phase = "drain"
        self._sending = False
        started = time.monotonic()
        self._last_answer = float("-inf")
        self._loop(end, lambda: self.in_flight <= 0)
        finished = time.monotonic()
        return finished - started, finished - self._last_answer < 2.0

    def close(self) -> None:
        """Close every connection, and the memory of the bodies."""
        for connection in self.connections:
            if connection.sock is not None:
                connection.sock.close()
        for state in self.states:
            if state.body is not None:
                state.body.close()
        self._epoll.close()

    def oldest_stall(self, now: float) -> float:
        """The longest time for which a connection with a request in flight moved no byte."""
        return max(
            (
                now - max(connection.sent, connection.last)
                for connection in self.connections
                if connection.in_flight
            ),
            default=0.0,
        )

    # -- the loop ------------------------------------------------------------------------------

    def _loop(self, end: float, done: Callable[[], bool]) -> None:
        """The hot path. A tick flushes what it counted in local variables."""
        clock, read, write = time.monotonic, os.read, os.write
        poll = self._epoll.poll
        by_fd = self._by_fd
        size = READ_SIZE
        deep = self._pipeline > 1
        limit = self._per_connection
        tick_s = self.plan.tick_s
        next_tick = clock() + tick_s
        next_scan = clock() + SCAN_S
        received = sent = loops = 0
        while not self._stop:
            now = clock()
            if now >= next_tick or now >= end:
                self.tally.bytes_received += received
                self.tally.bytes_sent += sent
                self.tally.loops += loops
                received = sent = loops = 0
                if now >= next_scan:
                    self._scan(now)
                    next_scan = now + SCAN_S
                if self._retry:
                    self._reopen_due(now)
                self._tick(now)
                if now >= end or done():
                    return
                next_tick = now + tick_s
            loops += 1
            for fd, mask in poll(min(next_tick, end) - now if next_tick > now else 0, 1024):
                connection = by_fd.get(fd)
                if connection is None:
                    self._on_control(fd)
                    continue
                if mask & _OUT:
                    self._writable(connection, clock())
                if not mask & ~_OUT:
                    continue
                try:
                    data = self._stamped(connection) if connection.lag else read(fd, size)
                except BlockingIOError:
                    continue
                except OSError as error:
                    self._lost(connection, error, clock())
                    continue
                now = clock()
                state = connection.state
                count = state.good.get(data)
                if (
                    count is None
                    or count > connection.in_flight
                    or (limit and (deep or connection.served + count >= limit))
                    or connection.offset >= 0
                    or connection.partial
                    or not self._sending
                ):
                    self._received(connection, data, now)
                    continue
                received += len(data)
                state.recognized += count
                if deep:
                    self._popped(connection, state, count, now)
                    connection.queue.append((now, count))
                    request = state.request * count
                else:
                    state.latencies.append(now - connection.sent)
                    request = state.request
                connection.served += count
                connection.sent = connection.last = now
                try:
                    written = write(fd, request)
                except OSError as error:
                    self._write_failed(connection, request, error, now)
                    continue
                sent += written
                if written != len(request):
                    self._pend(connection, request[written:])
        self._tick(clock())

    def _popped(self, connection: Connection, state: TemplateState, count: int, now: float) -> None:
        """Record the latencies of the oldest `count` pipelined requests."""
        queue = connection.queue
        while count:
            due, held = queue[0]
            if held <= count:
                queue.popleft()
                state.latencies.extend([now - due] * held)
                count -= held
            else:
                queue[0] = (due, held - count)
                state.latencies.extend([now - due] * count)
                count = 0

    def _poll(self, timeout: float) -> None:
        """One turn outside the load: connections get established, nothing is sent."""
        for fd, mask in self._epoll.poll(timeout, 1024):
            connection = self._by_fd.get(fd)
            if connection is None:
                self._on_control(fd)
            elif mask & _OUT:
                self._writable(connection, time.monotonic())
            else:
                self._idle_event(connection)

    def _idle_event(self, connection: Connection) -> None:
        """A connection without requests became readable: the server closed it or talks unasked."""
        now = time.monotonic()
        try:
            data = os.read(connection.fd, READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(connection, error, now)
            return
        self._received(connection, data, now)

    def _on_control(self, fd: int) -> None:
        if fd == self._control_fd and self._control is not None and self._control():
            self._stop = True

    def _stamped(self, connection: Connection) -> bytes:
        """Read with the kernel's time of receipt, to see how late this process is.

        Raises: BlockingIOError, OSError of the socket.
        """
        if connection.sock is None:
            raise BlockingIOError
        data, ancillary, _, _ = connection.sock.recvmsg(READ_SIZE, 64)
        arrived = receipt_time(ancillary)
        if arrived is not None and self._sending:
            self.tally.lags.append(max(0.0, time.time() - arrived))
        return data

    # -- opening and closing -------------------------------------------------------------------

    def _open(self, connection: Connection, now: float) -> None:
        connection.clear(now)
        connection.state = self.states[connection.template]
        try:
            sock = open_socket(self._family)
            if connection.lag:
                sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            if connection.state.body is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            code = sock.connect_ex((self.plan.address, self.plan.port))
        except OSError as error:
            self._not_connected(connection, error.errno or 0, now)
            return
        connection.sock = sock
        connection.fd = sock.fileno()
        connection.connected = False
        if code not in (0, errno.EINPROGRESS):
            self._not_connected(connection, code, now)
            return
        self._by_fd[connection.fd] = connection
        self._epoll.register(connection.fd, _IN | _OUT)
        connection.writing = True
        # On loopback the handshake is over when connect returns, unless the backlog is full.
        if self._sending:
            self._writable(connection, now)

    def _not_connected(self, connection: Connection, code: int, now: float) -> None:
        kind = {
            errno.ECONNREFUSED: Failure.REFUSED,
            errno.ETIMEDOUT: Failure.CONNECT_TIMEOUT,
        }.get(code, Failure.CONNECT_ERROR)
        self.tally.fail(connection.state, kind, os.strerror(code), 1)
        self._forget(connection)
        self._retry.append((now + RETRY_S, connection))

    def _forget(self, connection: Connection) -> None:
        """The socket is closed, and what was in flight on it is gone."""
        if connection.sock is not None:
            self._by_fd.pop(connection.fd, None)
            connection.sock.close()
            connection.sock = None
        if connection.connected:
            self.established -= 1
        connection.connected = False
        connection.fd = -1
        self.in_flight -= connection.in_flight
        connection.in_flight = 0
        self.body_in_flight -= connection.body_out
        connection.body_out = 0

    def _reopen(self, connection: Connection, now: float, delay: float = 0.0) -> None:
        """Close, and open again with the next template, as the benchmark's generator does."""
        self._forget(connection)
        connection.template = (connection.template + 1) % len(self.states)
        if not self._sending:
            return
        if delay:
            self._retry.append((now + delay, connection))
            return
        self.tally.opens += 1
        self._open(connection, now)

    def _reopen_due(self, now: float) -> None:
        due = [connection for when, connection in self._retry if when <= now]
        self._retry = [entry for entry in self._retry if entry[0] > now]
        for connection in due:
            if connection.sock is None and (self._sending or self.phase == "connect"):
                self.tally.opens += 1
                self._open(connection, now)

    # -- sending -------------------------------------------------------------------------------

    def _room(self, connection: Connection) -> int:
        """How many requests may be sent now."""
        room = self._pipeline - connection.in_flight
        if self._per_connection:
            left = self._per_connection - connection.served - connection.in_flight
            room = min(room, left)
        return room

    def _refill(self, connection: Connection, count: int, now: float) -> None:
        if count <= 0 or not self._sending or connection.announced:
            return
        state = connection.state
        # The first request of a connection is due when the connection is: the time in a full
        # backlog is the client's wait too.
        fresh = connection.served == 0 and self.phase != "connect" and connection.in_flight == 0
        due = connection.opened if fresh and connection.opened >= self._began else now
        if not connection.in_flight:
            connection.sent = due
        connection.last = now
        connection.timed_out = False
        if self._pipeline > 1:
            connection.queue.append((due, count))
        connection.in_flight += count
        self.in_flight += count
        request = state.request * count
        if state.body is not None:
            connection.offset = 0
        try:
            written = os.write(connection.fd, request)
        except OSError as error:
            self._write_failed(connection, request, error, now)
            return
        self.tally.bytes_sent += written
        if written != len(request):
            self._pend(connection, request[written:])
        elif state.body is not None:
            self._send_body(connection, now)

    def _pend(self, connection: Connection, rest: bytes) -> None:
        connection.pending += rest
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
        try:
            data = os.read(connection.fd, READ_SIZE)
        except OSError:
            data = b""
        connection.pending = b""
        connection.offset = -1
        if data:
            self._received(connection, data, now)
        # A descriptor's number may be that of its successor; the socket object is not.
        if connection.sock is sock:
            self._lost(connection, error, now, sending=True)

    def _watch(self, connection: Connection, writing: bool) -> None:
        if connection.writing != writing:
            connection.writing = writing
            self._epoll.modify(connection.fd, _IN | _OUT if writing else _IN)

    def _writable(self, connection: Connection, now: float) -> None:
        if not connection.connected:
            assert connection.sock is not None
            code = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._not_connected(connection, code, now)
                return
            try:
                connection.sock.getpeername()
            except OSError:
                return
            connection.connected = True
            self.established += 1
            self.tally.connect_times.append(time.monotonic() - connection.opened)
            self._watch(connection, False)
            self._refill(connection, self._room(connection), now)
            return
        if connection.pending:
            try:
                written = os.write(connection.fd, connection.pending)
            except BlockingIOError:
                return
            except OSError as error:
                self._broken(connection, error, now)
                return
            self.tally.bytes_sent += written
            connection.last = now
            connection.pending = connection.pending[written:]
            if connection.pending:
                return
        if connection.offset >= 0:
            self._send_body(connection, now)
        else:
            self._watch(connection, False)

    def _send_body(self, connection: Connection, now: float) -> None:
        """Send as much of the body as the kernel takes in one call."""
        state = connection.state
        assert state.body is not None
        limit = SEND_SIZE
        if self._holding:
            limit = min(limit, state.body.wire_length - HELD_BACK - connection.offset)
            if limit <= 0:
                self._watch(connection, False)
                return
        try:
            written = state.body.send(connection.fd, connection.offset, limit)
        except BlockingIOError:
            self._watch(connection, True)
            return
        except OSError as error:
            self._broken(connection, error, now)
            return
        self._moved = now
        connection.offset += written
        connection.body_out += written
        connection.last = now
        self.tally.bytes_sent += written
        self.tally.body_sent += written
        self.body_in_flight += written
        if connection.offset < state.body.wire_length:
            self._watch(connection, True)
            return
        connection.offset = -1
        self._watch(connection, False)
        if not connection.in_flight:
            self._body_over(connection)
            self._next(connection, now)

    # -- receiving -----------------------------------------------------------------------------

    def _received(self, connection: Connection, data: bytes, now: float) -> None:
        """The slow path: parse, check, count; then go on with this connection."""
        state = connection.state
        self.tally.bytes_received += len(data)
        if not data:
            self._ended(connection, now)
            return
        connection.last = now
        began = connection.parser.idle
        try:
            recognized = self._recognized(connection, state, data)
            responses = connection.parser.feed(data) if recognized is None else [recognized]
            connection.partial = not connection.parser.idle
        except FramingError as error:
            self._bad_framing(connection, str(error), now)
            return
        clean = True
        for response in responses:
            if connection.in_flight == 0:
                self._bad_framing(connection, "an answer that nothing asked for", now)
                return
            clean = self._answered(connection, state, response, now) and clean
            if response.head.status == 101 or response.head.close:
                connection.announced = True
        if not responses:
            return
        if connection.announced:
            self._after_close_announced(connection, now)
            return
        if (
            clean
            and began
            and state.body is None
            and len(data) <= (RECOGNIZED if self._pipeline == 1 else READ_SIZE)
            and connection.parser.idle
            and state.template.expect.items is None
            and all(response.head.status // 100 == 2 for response in responses)
        ):
            if len(state.good) > KNOWN_LIMIT:
                state.good.clear()
            if self._whole(data, len(responses)):
                state.good[data] = len(responses)
        self._next(connection, now)

    @staticmethod
    def _whole(data: bytes, count: int) -> bool:
        """These bytes alone are `count` complete responses (not the end of an earlier one)."""
        return data.startswith(b"HTTP/1.1 ") and data.count(b"HTTP/1.1 ") == count

    def _recognized(
        self, connection: Connection, state: TemplateState, data: bytes
    ) -> Response | None:
        """The response, when this read is exactly one with a head that was parsed before."""
        if connection.in_flight != 1 or not connection.parser.idle:
            return None
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return None
        key = data[:end]
        head = state.heads.get(key)
        if head is None:
            if not data.startswith(b"HTTP/1.1 2"):
                return None
            head = parse_head(key)
            if len(state.heads) > KNOWN_LIMIT:
                state.heads.clear()
            state.heads[key] = head
        if head.length is None or len(data) != end + 4 + head.length:
            return None
        return Response(head, data[end + 4 :], head.length)

    def _answered(
        self, connection: Connection, state: TemplateState, response: Response, now: float
    ) -> bool:
        """Count one response; whether it was right."""
        expect = state.template.expect
        self.tally.responses += 1
        state.responses += 1
        check_body = (
            expect.items is None
            or state.responses <= CHECK_FIRST
            or state.responses % CHECK_SHARE == 0
        )
        self.tally.bodies_checked += check_body and (
            expect.body is not None or expect.items is not None
        )
        self.tally.status_classes[f"{response.head.status // 100}xx"] += 1
        problem = wrong(response, expect, check_body)
        if connection.offset >= 0 or connection.pending:
            self.tally.early_answers += 1
        if problem is None:
            self.tally.ok += 1
            self.tally.body_answered += state.template.payload_length
        else:
            self.tally.fail(state, problem[0], problem[1], 1)
        if self._pipeline > 1:
            self._popped(connection, state, 1, now)
        else:
            state.latencies.append(now - connection.sent)
        if self.phase == "drain":
            self.late += 1
            self._last_answer = now
        connection.served += 1
        connection.in_flight -= 1
        self.in_flight -= 1
        if connection.offset < 0:
            self._body_over(connection)
        return problem is None

    def _body_over(self, connection: Connection) -> None:
        self.body_in_flight -= connection.body_out
        connection.body_out = 0

    def _next(self, connection: Connection, now: float) -> None:
        """After answers: send more, or close when this connection has had its share."""
        if self._per_connection and connection.served >= self._per_connection:
            if not connection.in_flight:
                self._reopen(connection, now)
            return
        if connection.offset < 0 and not connection.pending:
            self._refill(connection, self._room(connection), now)

    def _after_close_announced(self, connection: Connection, now: float) -> None:
        """The server said that it closes: what was pipelined behind is unanswered, not failed."""
        mine = bool(self._per_connection) and connection.served >= self._per_connection
        if not mine:
            self.tally.server_closes += 1
            self.tally.close_announced += 1
        self.tally.unanswered_at_close += connection.in_flight
        self._reopen(connection, now)

    def _ended(self, connection: Connection, now: float) -> None:
        """The server ended the connection."""
        try:
            response = connection.parser.end()
        except FramingError as error:
            self.tally.fail(
                connection.state, Failure.CLOSED_RECEIVING, str(error), connection.in_flight
            )
            self._reopen(connection, now)
            return
        state = connection.state
        if response is not None and connection.in_flight:
            self._answered(connection, state, response, now)
            self._after_close_announced(connection, now)
            return
        if connection.served:
            self.tally.server_closes += 1
        if connection.in_flight:
            detail = f"closed after {connection.served} responses on this connection"
            kind = Failure.RESET_SENDING if connection.offset >= 0 else Failure.CLOSED_WAITING
            self.tally.fail(connection.state, kind, detail, connection.in_flight)
        self._reopen(connection, now, 0.0 if connection.served else RETRY_S)

    def _lost(
        self, connection: Connection, error: OSError, now: float, *, sending: bool = False
    ) -> None:
        """A reset, or a write to a connection that the server had closed."""
        if not connection.connected:
            self._not_connected(connection, error.errno or 0, now)
            return
        if connection.in_flight:
            if not connection.parser.idle:
                kind = Failure.RESET_RECEIVING
            elif sending or connection.offset >= 0 or connection.pending:
                kind = Failure.RESET_SENDING
            else:
                kind = Failure.RESET_WAITING
            detail = f"{error.strerror} after {connection.served} responses on this connection"
            self.tally.fail(connection.state, kind, detail, connection.in_flight)
        if connection.served:
            self.tally.server_closes += 1
        self._reopen(connection, now, 0.0 if connection.served else RETRY_S)

    def _bad_framing(self, connection: Connection, detail: str, now: float) -> None:
        self.tally.fail(connection.state, Failure.BAD_FRAMING, detail, max(1, connection.in_flight))
        self._reopen(connection, now, RETRY_S)

    # -- figures -------------------------------------------------------------------------------

    def mark(self, now: float, *, fresh: bool = False) -> Mark:
        """The counters at this moment; `fresh` empties the distributions, a window starts."""
        self._tick(now)
        if fresh:
            fresh_histograms(self.states)
            self.tally.examples.clear()
            self.tally.lags.clear()
        return mark(self.tally, self.states, spent())

    def _scan(self, now: float) -> None:
        """Count requests that hang, while they hang."""
        timeout = self.plan.scenario.timeout_s if self.phase != "wave" else float("inf")
        stalled = 0
        for connection in self.connections:
            if connection.in_flight:
                age = now - max(connection.sent, connection.last)
                if age > STALLED_S:
                    stalled += 1
                    if age > timeout and not connection.timed_out:
                        connection.timed_out = True
                        self.tally.fail(
                            connection.state,
                            Failure.TIMEOUT,
                            f"no byte moved for {age:.1f} s, "
                            f"{connection.served} responses before on this connection",
                            connection.in_flight,
                        )
        self._stalled = stalled

    def _tick(self, now: float) -> None:
        """Empty the latencies into the histogram and emit the counters."""
        slice_latencies: list[float] = []
        for state in self.states:
            self.tally.fold(state)
            if state.latencies:
                slice_latencies += state.latencies
                state.histogram.record(state.latencies)
                state.latencies.clear()
        slice_latencies.sort()
        count = len(slice_latencies)
        self._emit(
            LoadTick(
                t=now,
                worker=self.worker,
                phase=self.phase,
                responses=self.tally.responses,
                failures=self.tally.failures.total(),
                bytes_sent=self.tally.bytes_sent,
                bytes_received=self.tally.bytes_received,
                body_sent=self.tally.body_sent,
                opens=self.tally.opens,
                established=self.established,
                in_flight=self.in_flight,
                stalled=self._stalled,
                body_in_flight=self.body_in_flight,
                slice_count=count,
                slice_p50_s=slice_latencies[count // 2] if count else 0.0,
                slice_p99_s=slice_latencies[min(count - 1, count * 99 // 100)] if count else 0.0,
                slice_max_s=slice_latencies[-1] if count else 0.0,
            )
        )
