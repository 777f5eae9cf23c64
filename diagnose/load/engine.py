"""One load worker's epoll loop and its phases: connect, ramp, wave, load, proof, drain.

The loop is written for the interpreter: raw descriptors, request bytes made beforehand, and answers
recognized whole by their exact bytes, so that a right answer costs one read, one dictionary look-up
and one write. Everything else takes the slow path (see exchange).
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

from diagnose.load.accounting import Spent, ready_within, send_times, spent
from diagnose.load.connection import NOTHING, Connection
from diagnose.load.exchange import Exchange
from diagnose.load.opening import IN, OUT
from diagnose.load.pacing import Schedule
from diagnose.load.sending import HELD_BACK, READ_SIZE
from diagnose.load.tally import Mark, fresh_histograms, mark
from diagnose.model.load import Failure, LoadPlan, LoadTick

# A server that takes its memory for the first time was seen to read nothing for 1.5 s.
WAVE_STALL_S = 3.0
CONNECT_PAUSE_S, MAX_CONNECT_PAUSE_S = 0.05, 0.8
SCAN_S = 0.25
STALLED_S = 1.0
# Upload connections whose send times are read: enough to know where the time went.
TIMED_UPLOADS = 64
# The proof that a worker was the limit: legs of normal load and of load with extra work, in turn.
PROOF_LEG_S = 0.25
PROOF_LEGS = 4
# Extra work by half of what a response costs the worker: a worker that is the limit then loses a
# third of its throughput, one that has time to spare loses nothing.
PROOF_EXTRA = 0.5


class Engine(Exchange):
    """The connections of one worker and everything counted on them.

    emit: called with each LoadTick. Times are monotonic seconds.
    """

    def __init__(self, plan: LoadPlan, worker: int, emit: Callable[[LoadTick], None]) -> None:
        super().__init__(plan)
        self.worker = worker
        self._emit = emit
        self._control: Callable[[], bool] | None = None
        self._control_fd = -1
        self._stop = False
        self._stalled = 0
        self._spin = 0.0
        self._send_before: dict[int, tuple[float, tuple[float, float, float]]] = {}

    # -- control -------------------------------------------------------------------------------

    def control(self, fd: int, handler: Callable[[], bool]) -> None:
        """Watch a descriptor; when readable, the handler says whether to stop."""
        self._control, self._control_fd = handler, fd
        self._epoll.register(fd, IN)

    @property
    def stopped(self) -> bool:
        """The controlling process asked to stop early."""
        return self._stop

    # -- phases --------------------------------------------------------------------------------

    def connect(self) -> int:
        """Open all connections, paced; the number established when it ends.

        A batch waits until the batch before is established, so that a listen backlog of ordinary
        size never overflows; those that are still missing after `connect_s` go on in background.
        With a ramp nothing is opened yet.
        """
        if self.plan.scenario.ramp_s:
            return 0
        deadline = time.monotonic() + self.plan.connect_s
        waiting = list(reversed(self.connections))
        pause = CONNECT_PAUSE_S
        while waiting and time.monotonic() < deadline and not self._stop:
            batch = min(self.plan.connect_batch, len(waiting))
            before = self.established
            for _ in range(batch):
                self._open(waiting.pop(), time.monotonic())
            patience = time.monotonic() + pause
            # Stragglers of earlier batches are waited for at the end, not again with each batch.
            while self.established - before < batch and time.monotonic() < patience:
                if self._stop:
                    break
                self._poll(0.005)
            # A full accept queue drops what comes, for a second each time: let the server empty it.
            complete = self.established - before >= batch
            pause = CONNECT_PAUSE_S if complete else min(MAX_CONNECT_PAUSE_S, 2 * pause)
        while not self._all_stand() and not self._stop:
            if time.monotonic() >= deadline:
                break
            self._poll(0.01)
        for connection in waiting:
            self._plan_open(time.monotonic(), connection, first=True)
        return self.established

    def _all_stand(self) -> bool:
        return self.established == len(self.connections) and not any(
            connection.shaking or connection.upgrading is not None
            for connection in self.connections
        )

    def ramp(self) -> None:
        """Open the connections evenly over `ramp_s`; each sends as soon as it stands."""
        began = time.monotonic()
        seconds = self.plan.scenario.ramp_s
        for place, connection in enumerate(self.connections):
            self._plan_open(began + seconds * place / len(self.connections), connection, first=True)
        self.run_until("ramp", began + seconds)

    def run_until(self, phase: str, end: float, done: Callable[[], bool] = lambda: False) -> None:
        """Keep every connection busy until `end`; emits ticks. Returns early when stopped."""
        self.phase = phase
        if not self._sending:
            self._sending = True
            self._began = now = time.monotonic()
            rate = self.plan.scenario.rate
            if rate and self._schedule is None and self.connections:
                share = len(self.connections) / self.plan.total_connections
                self._schedule = Schedule(rate * share, now, self.worker / self.plan.step)
            for connection in self.connections:
                if connection.connected and not connection.in_flight:
                    self._more(connection, now)
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

    def prove(self, before: Spent, after: Spent, events: int) -> tuple[float, float] | None:
        """Put a worker that looks like the limit to the proof: load with and without extra work.

        before, after, events: what the window cost and how many reads it had.

        Returns: the extra seconds for each read, and the share of the throughput that was lost;
        None when that cannot be said.
        """
        busy = after.cpu_s - before.cpu_s
        if events < 100 or busy <= 0:
            return None
        extra = PROOF_EXTRA * busy / events
        rates: dict[bool, list[float]] = {False: [], True: []}
        for leg in range(PROOF_LEGS):
            spinning = leg % 2 == 1
            self._spin = extra if spinning else 0.0
            began, counted = time.monotonic(), self.tally.responses
            self.run_until("proof", began + PROOF_LEG_S)
            rates[spinning].append((self.tally.responses - counted) / (time.monotonic() - began))
        self._spin = 0.0
        plain = sum(rates[False])
        if self._stop or plain <= 0:
            return None
        return extra, 1.0 - sum(rates[True]) / plain

    def drain(self, end: float) -> tuple[float, bool]:
        """Send nothing new; wait for what is in flight.

        Returns: seconds that it took, and whether anything was answered in its last two seconds.
        """
        self.phase = "drain"
        self._sending = False
        for connection in self.connections:
            connection.good = NOTHING
            connection.latest = None
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
                if connection.in_flight and not connection.state.any
            ),
            default=0.0,
        )

    def overdue(self, now: float) -> int:
        """Requests of the open loop that are due and not sent."""
        return self._schedule.overdue(now) if self._schedule is not None else 0

    # -- the loop ------------------------------------------------------------------------------

    def _loop(self, end: float, done: Callable[[], bool]) -> None:
        """The hot path. A tick flushes what it counted in local variables."""
        clock, read, write = time.monotonic, os.read, os.write
        poll = self._epoll.poll
        by_fd = self._by_fd
        size = READ_SIZE
        hashed = self._hashed
        deep = self._pipeline > 1
        limit = self._per_connection
        precise = self._schedule is not None
        spin = self._spin
        tick_s = self.plan.tick_s
        next_tick = clock() + tick_s
        next_scan = clock() + SCAN_S
        received = sent = loops = events = 0
        while not self._stop:
            now = clock()
            if now >= self._wake:
                self._woken(now)
            if now >= next_tick or now >= end:
                self.tally.bytes_received += received
                self.tally.bytes_sent += sent
                self.tally.loops += loops
                self.tally.events += events
                received = sent = loops = events = 0
                if now >= next_scan:
                    self._scan(now)
                    next_scan = now + SCAN_S
                if self._later:
                    self._open_due(now)
                self._tick(now)
                if now >= end or done():
                    return
                next_tick = now + tick_s
            loops += 1
            wait = min(next_tick, end, self._wake) - now
            if precise and wait > 0:
                ready_within(self._epoll, wait)
                wait = 0.0
            batch = poll(wait if wait > 0 else 0, 1024)
            events += len(batch)
            if spin and batch:
                # Time on the CPU, not on the wall: who waits for a core meanwhile has not worked.
                until = time.thread_time() + spin * len(batch)
                while time.thread_time() < until:
                    pass
            for fd, mask in batch:
                connection = by_fd.get(fd)
                if connection is None:
                    self._on_control(fd)
                    continue
                if mask != IN:
                    if mask & OUT:
                        self._writable(connection, clock())
                    # Sending may have ended the connection: what else is said of it is void then.
                    if not mask & ~OUT or connection.fd != fd:
                        continue
                try:
                    data = self._special_read(connection) if connection.special else read(fd, size)
                except BlockingIOError:
                    continue
                except OSError as error:
                    self._lost(connection, error, clock())
                    continue
                now = clock()
                # Comparing costs a tenth of hashing; long answers are only compared.
                if data == connection.latest:
                    count = 1
                else:
                    count = connection.good.get(data, 0) if len(data) <= hashed else 0
                if (
                    not count
                    or count > connection.in_flight
                    or (limit and (deep or connection.served + count >= limit))
                ):
                    self._received(connection, data, now)
                    continue
                state = connection.state
                received += len(data)
                state.recognized += count
                if deep:
                    self._popped(connection, state, count, now)
                    connection.queue.append((now, count))
                    request = connection.request * count
                else:
                    state.latencies.append(now - connection.sent)
                    request = connection.request
                connection.served += count
                connection.sent = now
                try:
                    written = write(fd, request)
                except OSError as error:
                    self._write_failed(connection, request, error, now)
                    continue
                sent += written
                if written != len(request):
                    self._pend(connection, request[written:])
        self._tick(clock())

    def _poll(self, timeout: float) -> None:
        """One turn outside the load: connections get established, nothing is sent."""
        for fd, mask in self._epoll.poll(timeout, 1024):
            connection = self._by_fd.get(fd)
            if connection is None:
                self._on_control(fd)
            elif mask & OUT:
                self._writable(connection, time.monotonic())
            else:
                self._idle_event(connection)

    def _on_control(self, fd: int) -> None:
        if fd == self._control_fd and self._control is not None and self._control():
            self._stop = True

    # -- figures -------------------------------------------------------------------------------

    def mark(self, now: float, *, fresh: bool = False) -> Mark:
        """The counters at this moment; `fresh` empties the distributions, a window starts."""
        self._tick(now)
        if fresh:
            fresh_histograms(self.tally, self.states)
            self.tally.examples.clear()
            self._send_before = self._send_times()
        return mark(self.tally, self.states, spent(), self.connections)

    def send_times(self) -> tuple[float, float, float]:
        """Seconds since the fresh mark that some upload connections had data to send, and were
        limited by the receiver's window and by the send buffer; summed over them."""
        totals = [0.0, 0.0, 0.0]
        for index, (opened, after) in self._send_times().items():
            before = self._send_before.get(index)
            for place in range(3):
                since = before[1][place] if before is not None and before[0] == opened else 0.0
                totals[place] += max(0.0, after[place] - since)
        return totals[0], totals[1], totals[2]

    def _send_times(self) -> dict[int, tuple[float, tuple[float, float, float]]]:
        found = {}
        if any(state.body is not None for state in self.states):
            for connection in self.connections[:TIMED_UPLOADS]:
                if connection.connected and connection.sock is not None:
                    times = send_times(connection.sock)
                    if times is not None:
                        found[connection.index] = (connection.opened, times)
        return found

    def _scan(self, now: float) -> None:
        """Count requests that hang, while they hang."""
        timeout = self.plan.scenario.timeout_s if self.phase != "wave" else float("inf")
        stalled = 0
        for connection in self.connections:
            if connection.sock is not None and not connection.connected:
                # The kernel itself gives up after two minutes.
                if now - connection.opened > timeout:
                    self._not_connected(connection, errno.ETIMEDOUT, now)
                continue
            opening = connection.connected and (
                connection.upgrading is not None or connection.shaking
            )
            # An answer may be there while the rest of its request cannot be sent.
            stuck = connection.in_flight or connection.offset >= 0
            if (stuck and not connection.state.any) or opening:
                age = now - max(connection.sent, connection.last)
                if age > STALLED_S:
                    stalled += 1
                if age > timeout and not connection.timed_out:
                    connection.timed_out = True
                    self._timed_out(connection, age, opening)
        self._stalled = stalled

    def _timed_out(self, connection: Connection, age: float, opening: bool) -> None:
        before = f"{connection.served} responses before on this connection"
        detail = f"no byte moved for {age:.1f} s, {before}"
        if opening:
            detail = f"{'TLS handshake' if connection.shaking else 'upgrade'}: {detail}"
        self.tally.fail(connection.state, Failure.TIMEOUT, detail, max(1, connection.in_flight))

    def _tick(self, now: float) -> None:
        """Empty the latencies into the histogram and emit the counters."""
        slice_latencies: list[float] = []
        for state in self.states:
            self.tally.fold(state)
            if not state.any:
                slice_latencies += state.latencies
            state.settle()
        self.tally.settle()
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
