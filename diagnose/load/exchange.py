"""Answers in: what comes back on a connection is parsed, checked and counted.

The fast path of the loop (see engine) recognizes right answers by their exact bytes. Everything
else comes here, through the parser, which decides what is right.
"""

from __future__ import annotations

import os
import time

from diagnose.load.accounting import receipt_time
from diagnose.load.check import wrong
from diagnose.load.connection import NOTHING, Connection, TemplateState
from diagnose.load.http1 import FramingError, Response, parse_head
from diagnose.load.opening import RETRY_S
from diagnose.load.sending import NEVER, READ_SIZE, Sending
from diagnose.load.websocket import BINARY, FrameParser
from diagnose.model.load import Failure, LoadPlan
from diagnose.websocket import handshake_problem

# Answers up to this size are recognized whole; hashing longer ones costs more than finding the
# end of their head.
RECOGNIZED = 2048
KNOWN_LIMIT = 4096
# However long they are: a server that never says the same twice must not fill the memory.
KNOWN_BYTES = 4 * 1024 * 1024
# Of answers that differ between connections each connection keeps but a few.
OWN_LIMIT = 8
# JSON bodies that are parsed and compared: the first few of each template, then one in so many.
CHECK_FIRST = 16
CHECK_SHARE = 64
# An answer that is new in its bytes is checked soon, so that it is known when it comes again.
CHECK_S = 0.25
# The head of the answer to an upgrade.
MAX_UPGRADE_HEAD = 16 * 1024


class Exchange(Sending):
    """What is sent and received on the connections of a worker."""

    def __init__(self, plan: LoadPlan) -> None:
        super().__init__(plan)
        self.late = 0
        self._last_answer = NEVER
        # Reads up to this size are looked up by their bytes.
        self._hashed = RECOGNIZED if self._pipeline == 1 else READ_SIZE
        self._checked = self._first_of_read = False

    # -- receiving -----------------------------------------------------------------------------

    def _special_read(self, connection: Connection) -> bytes:
        """A read that needs more than one plain call.

        Raises: BlockingIOError, OSError of the socket.
        """
        if connection.shaking:
            self._shake(connection, time.monotonic())
            raise BlockingIOError
        if connection.tls is not None:
            return self._read_tls(connection)
        return self._stamped(connection)

    def _read_tls(self, connection: Connection) -> bytes:
        """All that has arrived: what TLS has decrypted, epoll does not tell of."""
        data = self._read(connection, READ_SIZE)
        assert connection.tls is not None
        while data and (waiting := connection.tls.pending()):
            more = self._read(connection, waiting)
            if not more:
                break
            data += more
        return data

    def _stamped(self, connection: Connection) -> bytes:
        """Read with the kernel's time of receipt, to see how late this process is.

        Raises: BlockingIOError, OSError of the socket.
        """
        if not connection.connected or connection.sock is None:
            raise BlockingIOError
        data, ancillary, _, _ = connection.sock.recvmsg(READ_SIZE, 64)
        arrived = receipt_time(ancillary)
        if arrived is not None and self._sending:
            self.tally.lags.append(max(0.0, time.time() - arrived))
        return data

    def _received(self, connection: Connection, data: bytes, now: float) -> None:
        """Bytes that the fast path did not take: parse, check, count, go on."""
        if not data:
            self._ended(connection, now)
            return
        self.tally.bytes_received += len(data)
        connection.last = now
        if connection.upgrading is not None:
            self._upgraded(connection, data, now)
            return
        state = connection.state
        if data == state.farewell and connection.in_flight == 1 and self._quiet(connection):
            self._count_recognized(connection, state, 1, now)
            self._after_close_announced(connection, now)
            return
        if data == (connection.known if state.varies else state.known):
            count = 1
        else:
            count = connection.own.get(data, 0) if len(data) <= self._hashed else 0
        if count and count <= connection.in_flight and self._quiet(connection):
            self._recognized_again(connection, state, count, now)
            return
        began = connection.parser.idle
        try:
            recognized = self._recognized(connection, state, data)
            responses = connection.parser.feed(data) if recognized is None else [recognized]
        except FramingError as error:
            self._bad_framing(connection, str(error), now)
            return
        waited = began and not responses and connection.in_flight
        if waited and self._pipeline == 1 and not state.any:
            state.first_bytes.append(now - connection.sent)
        if isinstance(connection.parser, FrameParser) and connection.parser.answers:
            answers, connection.parser.answers = connection.parser.answers, b""
            self._put(connection, answers, now)
            if not connection.connected:
                return
        clean = True
        self._first_of_read = True
        for response in responses:
            if response.head.close:
                connection.announced = True
                if isinstance(connection.parser, FrameParser):
                    break
            if connection.in_flight == 0:
                self._bad_framing(connection, "an answer that nothing asked for", now)
                return
            clean = self._answered(connection, state, response, now) and clean
            if response.head.status == 101:
                connection.announced = True
        if not responses:
            connection.good = NOTHING
            connection.latest = None
            return
        if connection.announced:
            if clean and began and len(responses) == 1 and not state.varies:
                self._learn_farewell(connection, state, data, responses)
            self._after_close_announced(connection, now)
            return
        if clean and began and self._learnable(connection, state, data, responses):
            self._learn(connection, state, data, len(responses))
        self._next(connection, now)
        if connection.connected:
            self._settle(connection)

    @staticmethod
    def _quiet(connection: Connection) -> bool:
        """Nothing is half sent and nothing half received."""
        return connection.offset < 0 and not connection.pending and connection.parser.idle

    def _recognized_again(
        self, connection: Connection, state: TemplateState, count: int, now: float
    ) -> None:
        """Right answers by their bytes, where the next request is not due at once."""
        self._count_recognized(connection, state, count, now)
        self._next(connection, now)
        if connection.connected:
            self._settle(connection)

    def _count_recognized(
        self, connection: Connection, state: TemplateState, count: int, now: float
    ) -> None:
        state.recognized += count
        if self._pipeline > 1:
            self._popped(connection, state, count, now)
        else:
            state.latencies.append(now - connection.sent)
        if self.phase == "drain":
            self.late += count
            self._last_answer = now
        connection.served += count
        connection.in_flight -= count
        self.in_flight -= count * state.weight
        self._body_over(connection)

    def _learnable(
        self, connection: Connection, state: TemplateState, data: bytes, responses: list[Response]
    ) -> bool:
        """These bytes are right whenever they come again."""
        return (
            not state.any
            and (self._checked or not state.compares)
            and connection.parser.idle
            and all(response.head.status // 100 == 2 for response in responses)
            # The bytes alone must be so many complete responses, not the end of an earlier one.
            and (
                bool(state.opening)
                or (
                    data.startswith(b"HTTP/1.1 ")
                    and (len(responses) == 1 or data.count(b"HTTP/1.1 ") == len(responses))
                )
            )
        )

    def _learn(self, connection: Connection, state: TemplateState, data: bytes, count: int) -> None:
        if count == 1:
            if state.varies:
                connection.known = data
            else:
                state.known = data
        if len(data) <= self._hashed:
            limit = OWN_LIMIT if state.varies else min(KNOWN_LIMIT, KNOWN_BYTES // len(data))
            if len(connection.own) >= limit:
                connection.own.clear()
            connection.own[data] = count

    def _learn_farewell(
        self, connection: Connection, state: TemplateState, data: bytes, responses: list[Response]
    ) -> None:
        complete = not responses[0].head.until_close and responses[0].head.status != 101
        if complete and self._learnable(connection, state, data, responses):
            state.farewell = data

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

    @staticmethod
    def _recognized(connection: Connection, state: TemplateState, data: bytes) -> Response | None:
        """The response, when this read is exactly one with a head that was parsed before."""
        if connection.in_flight != 1 or state.opening or not connection.parser.idle:
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
            if len(key) <= RECOGNIZED:
                if len(state.heads) > KNOWN_LIMIT:
                    state.heads.clear()
                state.heads[key] = head
        if head.length is None or len(data) != end + 4 + head.length:
            return None
        return Response(head, data[end + 4 :], head.length)

    def _upgraded(self, connection: Connection, data: bytes, now: float) -> None:
        """Bytes of the answer to a WebSocket upgrade."""
        assert connection.upgrading is not None
        connection.upgrading += data
        head, end, rest = connection.upgrading.partition(b"\r\n\r\n")
        if not end:
            if len(head) > MAX_UPGRADE_HEAD or not head.startswith(b"HTTP/"[: len(head)]):
                self._bad_framing(connection, f"not an answer to an upgrade: {head[:60]!r}", now)
            return
        problem = handshake_problem(head)
        if problem:
            state = connection.state
            kind = (
                Failure.WRONG_STATUS
                if problem.startswith("upgrade refused")
                else Failure.BAD_FRAMING
            )
            self.tally.fail(state, kind, problem, 1)
            self._reopen(connection, now, RETRY_S)
            return
        connection.upgrading = None
        connection.parser = FrameParser()
        answer = connection.state.answer
        for count in range(1, self._pipeline + 1):
            connection.own[answer * count] = count
        if rest:
            self._bad_framing(connection, "a message that nothing asked for", now)
            return
        self._more(connection, now)

    # -- counting ------------------------------------------------------------------------------

    def _answered(
        self, connection: Connection, state: TemplateState, response: Response, now: float
    ) -> bool:
        """Count one response; whether it was right."""
        tally = self.tally
        tally.responses += 1
        state.responses += 1
        status = response.head.status
        tally.status_classes[f"{status // 100}xx"] += 1
        if connection.offset >= 0 or connection.pending:
            tally.early_answers += 1
        right = True
        if state.any:
            tally.tolerated += 1
        else:
            right = self._judge(connection, state, response, now)
            state.look(response)
        if self._pipeline > 1:
            self._popped(connection, state, 1, now)
        else:
            state.latencies.append(now - connection.sent)
        if self.phase == "drain":
            self.late += 1
            self._last_answer = now
        connection.served += 1
        connection.in_flight -= 1
        self.in_flight -= state.weight
        if connection.offset < 0:
            self._body_over(connection)
        return right

    def _judge(
        self, connection: Connection, state: TemplateState, response: Response, now: float
    ) -> bool:
        """Compare a response with what is expected; count it as right or as failed."""
        tally = self.tally
        check_body = state.compares and (
            not state.deep_check
            or state.responses <= CHECK_FIRST
            or state.responses % CHECK_SHARE == 0
            or now - state.checked_at > CHECK_S
        )
        if response.body is None and not connection.keeper and response.body_length <= state.keep:
            check_body = False
        tally.bodies_checked += check_body
        if check_body:
            state.checked_at = now
        # Of pipelined answers in one read, all must have been checked.
        self._checked = check_body and (self._checked or self._first_of_read)
        self._first_of_read = False
        expect = state.template.expect
        problem = wrong(response, expect, check_body, connection.expected, state.first)
        if problem is None and response.head.content_type == BINARY:
            problem = Failure.WRONG_BODY, "a text message came back as a binary one"
        if problem is not None:
            tally.fail(state, problem[0], problem[1], 1)
            return False
        if response.head.status // 100 == 2:
            tally.ok += 1
        else:
            tally.tolerated += 1
        tally.body_answered += state.template.payload_length
        if expect.same and state.first is None:
            state.first = response.body
        return True

    def _failed(self, connection: Connection, kind: Failure, detail: str, count: int) -> None:
        """Requests failed, unless anything may come back for them."""
        if connection.state.any:
            self.tally.tolerated += count
        else:
            self.tally.fail(connection.state, kind, detail, count)

    def _next(self, connection: Connection, now: float) -> None:
        """After answers: send more, or close when this connection has had its share."""
        if self._per_connection and connection.served >= self._per_connection:
            if not connection.in_flight:
                self._turn_over(connection, now)
            return
        if connection.offset < 0 and not connection.pending:
            self._more(connection, now)

    # -- the end of a connection ---------------------------------------------------------------

    def _after_close_announced(self, connection: Connection, now: float) -> None:
        """The server said that it closes: what was pipelined behind is unanswered, not failed."""
        mine = bool(self._per_connection) and connection.served >= self._per_connection
        if not mine and not connection.state.any:
            self.tally.closed_after(connection.served)
            self.tally.close_announced += 1
        if isinstance(connection.parser, FrameParser) and connection.in_flight:
            # A Close frame ends a WebSocket in order; messages that it leaves unanswered are lost.
            detail = (
                f"closed with messages unanswered, after {connection.served} on this connection"
            )
            self._failed(connection, Failure.CLOSED_WAITING, detail, connection.in_flight)
        else:
            self.tally.unanswered_at_close += connection.in_flight * connection.state.weight
        if connection.in_flight or connection.offset >= 0 or connection.body_out:
            self._reopen(connection, now)
        else:
            self._turn_over(connection, now)

    def _retry_delay(self, connection: Connection) -> float:
        """A server that ends connections unserved is not to be flooded with new ones."""
        return 0.0 if connection.served or connection.state.any else RETRY_S

    def _ended(self, connection: Connection, now: float) -> None:
        """The server ended the connection."""
        try:
            response = connection.parser.end()
        except FramingError as error:
            self._failed(connection, Failure.CLOSED_RECEIVING, str(error), connection.in_flight)
            self._reopen(connection, now, self._retry_delay(connection))
            return
        state = connection.state
        if response is not None and connection.in_flight:
            self._answered(connection, state, response, now)
            self._after_close_announced(connection, now)
            return
        if connection.served and not state.any:
            self.tally.closed_after(connection.served)
        if connection.in_flight:
            detail = f"closed after {connection.served} responses on this connection"
            kind = Failure.RESET_SENDING if connection.offset >= 0 else Failure.CLOSED_WAITING
            self._failed(connection, kind, detail, connection.in_flight)
        elif connection.upgrading is not None:
            self.tally.fail(state, Failure.CLOSED_WAITING, "closed instead of an upgrade", 1)
        self._reopen(connection, now, self._retry_delay(connection))

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
            self._failed(connection, kind, detail, connection.in_flight)
        elif connection.upgrading is not None:
            self.tally.fail(
                connection.state, Failure.RESET_WAITING, "reset instead of an upgrade", 1
            )
        if connection.served and not connection.state.any:
            self.tally.closed_after(connection.served)
        self._reopen(connection, now, self._retry_delay(connection))

    def _bad_framing(self, connection: Connection, detail: str, now: float) -> None:
        self._failed(connection, Failure.BAD_FRAMING, detail, max(1, connection.in_flight))
        self._reopen(connection, now, 0.0 if connection.state.any else RETRY_S)

    # -- outside of the load -------------------------------------------------------------------

    def _idle_event(self, connection: Connection) -> None:
        """A connection became readable before the load: the server closed it, or it talks."""
        now = time.monotonic()
        try:
            if connection.special:
                data = self._special_read(connection)
            else:
                data = os.read(connection.fd, READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(connection, error, now)
            return
        self._received(connection, data, now)
