"""A server that breaks HTTP in one way, named on its command line: for the integration tests only.

python hostile_server.py PORT BEHAVIOR [--after N]

PORT 0 takes a free one; the first line of output names it. --after: so many requests are answered
rightly before the behavior begins. A behavior is a function of one connection, run in a thread of
its own; when it returns, the connection is closed.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GIGABYTE = b"Content-Length: 1073741824\r\n\r\n"
BLOCK = b"x" * (256 * 1024)
FOREVER_S = 3600.0


def answer(body: bytes = b"ok", headers: bytes = b"") -> bytes:
    """A right answer."""
    return OK + headers + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def bytewise(data: bytes) -> list[bytes]:
    """One byte each."""
    return [data[at : at + 1] for at in range(len(data))]


def length_of(head: bytes) -> int:
    """The Content-Length of a request as diagnose writes it; 0 without one."""
    return int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or 0)


class Peer:
    """One connection, from the server's side."""

    def __init__(self, sock: socket.socket, listener: socket.socket, number: int) -> None:
        self.sock = sock
        self.listener = listener
        self.number = number
        self._buffer = b""

    def request(self) -> bytes:
        """The right answer to the next request, once that has arrived whole.

        Raises: ConnectionError when the client has gone.
        """
        head = self.until(b"\r\n\r\n")
        if b"chunked" in head:
            self.until(b"0\r\n\r\n")
        self.skip(length_of(head))
        if b"/baseline11" in head:
            return answer(b"75" if head.startswith(b"POST") else b"55")
        return answer()

    def until(self, mark: bytes) -> bytes:
        """The bytes up to and with a mark."""
        while mark not in self._buffer:
            self._buffer += self._more()
        data, _, self._buffer = self._buffer.partition(mark)
        return data + mark

    def skip(self, count: int) -> None:
        """Read so many bytes and forget them."""
        while count > len(self._buffer):
            count -= len(self._buffer)
            self._buffer = self._more()
        self._buffer = self._buffer[count:]

    def _more(self) -> bytes:
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("the client has gone")
        return data

    def send(self, *pieces: bytes, pause_s: float = 0.0) -> None:
        """One write for each piece."""
        for piece in pieces:
            self.sock.sendall(piece)
            if pause_s:
                time.sleep(pause_s)

    def endlessly(self, piece: bytes) -> None:
        """Send until the client goes."""
        while True:
            self.sock.sendall(piece)

    def read_on(self) -> None:
        """Take what comes, and say nothing."""
        while self.sock.recv(65536):
            pass

    def ignore(self) -> None:
        """Neither read nor write."""
        time.sleep(FOREVER_S)

    def finish(self) -> None:
        """End our sending side and read on."""
        self.sock.shutdown(socket.SHUT_WR)
        self.read_on()

    def reset(self) -> None:
        """End the connection with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Behavior = Callable[[Peer], None]
BEHAVIORS: dict[str, Behavior] = {}


def behavior(function: Behavior) -> Behavior:
    """To be asked for by the function's name."""
    BEHAVIORS[function.__name__] = function
    return function


def each_time(name: str, *pieces: bytes) -> None:
    """A behavior: every request gets these bytes."""

    def behave(peer: Peer) -> None:
        while True:
            peer.request()
            peer.send(*pieces)

    BEHAVIORS[name] = behave


def after_saying(name: str, data: bytes, end: Behavior) -> None:
    """A behavior: one request gets these bytes, then the connection ends in this way."""

    def behave(peer: Peer) -> None:
        peer.request()
        peer.send(data)
        end(peer)

    BEHAVIORS[name] = behave


# -- before any answer --------------------------------------------------------------------------


@behavior
def closes_at_once(peer: Peer) -> None:
    """What has arrived unread makes the kernel send a reset instead."""


@behavior
def resets_at_once(peer: Peer) -> None:
    peer.reset()


BEHAVIORS["half_closes_at_once"] = Peer.finish
BEHAVIORS["never_answers"] = Peer.read_on
BEHAVIORS["ignores"] = Peer.ignore
after_saying("closes_after_request", b"", lambda peer: None)
after_saying("resets_after_request", b"", Peer.reset)


@behavior
def speaks_first(peer: Peer) -> None:
    """Like a mail server."""
    peer.send(b"220 ready\r\n")
    peer.read_on()


@behavior
def answers_nobody(peer: Peer) -> None:
    """One answer that nothing asked for, then a right one to each request."""
    peer.send(answer())
    answers(peer)


@behavior
def refuses(peer: Peer) -> None:
    """From its first connection on; without `--after` nothing listens at all."""
    peer.listener.shutdown(socket.SHUT_RDWR)
    peer.listener.close()
    peer.reset()


# -- inside an answer ---------------------------------------------------------------------------

HALF_HEAD = OK + b"Content-Le"
HALF_BODY = OK + b"Content-Length: 1000\r\n\r\n" + b"x" * 500
HALF_CHUNK = CHUNKED + b"64\r\n" + b"x" * 50
for place, half in (("head", HALF_HEAD), ("body", HALF_BODY), ("chunk", HALF_CHUNK)):
    after_saying(f"resets_mid_{place}", half, Peer.reset)
    after_saying(f"closes_mid_{place}", half, lambda peer: None)
    after_saying(f"stalls_mid_{place}", half, Peer.read_on)
after_saying("gigabyte_then_stalls", OK + GIGABYTE + BLOCK, Peer.read_on)
after_saying("gigabyte", OK + GIGABYTE, lambda peer: peer.endlessly(BLOCK))
after_saying("endless_body", OK + b"\r\n", lambda peer: peer.endlessly(BLOCK))
after_saying("endless_headers", OK, lambda peer: peer.endlessly(b"X-More: and more\r\n" * 64))
after_saying("endless_header", OK + b"X: ", lambda peer: peer.endlessly(b"y" * 1024))
after_saying(
    "endless_chunks", CHUNKED, lambda peer: peer.endlessly(b"10;a=b\r\n0123456789abcdef\r\n" * 128)
)
after_saying("endless_extension", CHUNKED + b"2;", lambda peer: peer.endlessly(b"a" * 1024))
after_saying(
    "endless_trailers",
    CHUNKED + b"0\r\n",
    lambda peer: peer.endlessly(b"X-More: and more\r\n" * 64),
)
after_saying(
    "continue_flood", b"", lambda peer: peer.endlessly(b"HTTP/1.1 100 Continue\r\n\r\n" * 64)
)


# -- answers that are none ----------------------------------------------------------------------

each_time("garbage", bytes(range(128, 256)))
each_time("garbage_status", b"HTTP/1.1 OK 200\r\nContent-Length: 2\r\n\r\nok")
each_time("nul_bytes", bytes(1000))
each_time("nul_in_header", answer(headers=b"X: a\0b\r\n"))
each_time("newline_in_header", answer(headers=b"X: a\nContent-Length: 7\r\n"))
# A settings frame, the first that an HTTP/2 server sends.
each_time("http_2", b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64")
after_saying("http_0_9", b"<html>ok</html>\n", lambda peer: None)
each_time("status_0", b"HTTP/1.1 000 None\r\nContent-Length: 2\r\n\r\nok")
each_time("status_999", b"HTTP/1.1 999 Denied\r\nContent-Length: 2\r\n\r\nok")
each_time("negative_length", OK + b"Content-Length: -2\r\n\r\nok")
each_time("two_lengths", OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok")
each_time("length_too_short", OK + b"Content-Length: 1\r\n\r\nok")
after_saying("length_too_long_then_closes", OK + b"Content-Length: 3\r\n\r\nok", lambda peer: None)
each_time("length_too_long_then_stalls", OK + b"Content-Length: 3\r\n\r\nok")
each_time("bad_chunk_size", CHUNKED + b"two\r\nok\r\n0\r\n\r\n")
each_time("negative_chunk_size", CHUNKED + b"-2\r\nok\r\n0\r\n\r\n")
each_time("chunk_size_overflow", CHUNKED + b"1" + b"0" * 15 + b"2\r\nok\r\n0\r\n\r\n")
each_time("chunk_size_too_short", CHUNKED + b"1\r\nok\r\n0\r\n\r\n")
each_time("huge_header", answer(headers=b"X: " + b"y" * (1 << 20) + b"\r\n"))
each_time("answers_twice", answer() + answer())
each_time(
    "switches_protocols",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
)


GZIP = b"Content-Encoding: gzip\r\n"
each_time("deep_json", answer(gzip.compress(b"[" * 1_000_000), GZIP))


@behavior
def gzip_bomb(peer: Peer) -> None:
    """128 MiB of nothing in 130 KB."""
    packer = zlib.compressobj(wbits=31)
    first = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    # From here on every block is the same.
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    body = first + block * 127
    while True:
        peer.request()
        peer.send(answer(body, GZIP))


# -- odd, and right -----------------------------------------------------------------------------


@behavior
def answers(peer: Peer) -> None:
    while True:
        peer.send(peer.request())


each_time(
    "interim",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    answer(),
)
each_time(
    "length_and_chunked",
    OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
)
each_time("trailers", CHUNKED + b"2;a=b\r\nok\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n")
each_time("many_headers", answer(headers=b"X-Small: 1\r\n" * 4000))
each_time("byte_by_byte", *bytewise(answer()))
after_saying("until_close", OK + b"\r\nok", lambda peer: None)
after_saying("closes_after_answer", answer(), lambda peer: None)
after_saying("half_closes_after_answer", answer(), Peer.finish)


@behavior
def trickles(peer: Peer) -> None:
    """A short answer takes 0.9 s."""
    peer.request()
    peer.send(*bytewise(b"HTTP/1.1 200\r\n\r\nok"), pause_s=0.05)


@behavior
def trickles_without_end(peer: Peer) -> None:
    peer.request()
    for piece in itertools.chain(bytewise(b"HTTP/1.1 "), itertools.repeat(b"2")):
        peer.send(piece, pause_s=0.05)


@behavior
def two_halves(peer: Peer) -> None:
    while True:
        whole = peer.request()
        peer.send(whole[:30], pause_s=0.1)
        peer.send(whole[30:])


@behavior
def another_head_each_time(peer: Peer) -> None:
    """Answers that are right and never the same: 32 KB each."""
    for number in itertools.count():
        peer.request()
        peer.send(answer(headers=b"X-%d-%d: " % (peer.number, number) + b"y" * 32000 + b"\r\n"))


@behavior
def another_answer_each_time(peer: Peer) -> None:
    """As above, small enough that sixteen come in one read."""
    for number in itertools.count():
        peer.request()
        peer.send(answer(headers=b"X-%d-%d: " % (peer.number, number) + b"y" * 3000 + b"\r\n"))


# -- to several requests or connections ---------------------------------------------------------


@behavior
def answers_five_then_closes(peer: Peer) -> None:
    for _ in range(5):
        peer.send(peer.request())
    peer.finish()


@behavior
def closes_every_second(peer: Peer) -> None:
    BEHAVIORS["closes_after_request" if peer.number % 2 else "answers"](peer)


@behavior
def differs_each_time(peer: Peer) -> None:
    names = ("answers", "garbage", "resets_mid_body", "closes_mid_head", "never_answers")
    BEHAVIORS[names[peer.number % len(names)]](peer)


# -- uploads ------------------------------------------------------------------------------------


@behavior
def answers_early_then_closes(peer: Peer) -> None:
    """With most of the body unread: the kernel sends a reset."""
    peer.until(b"\r\n\r\n")
    peer.send(answer())


@behavior
def announces_early_close(peer: Peer) -> None:
    peer.until(b"\r\n\r\n")
    peer.send(answer(headers=b"Connection: close\r\n"))


@behavior
def answers_early_then_reads_on(peer: Peer) -> None:
    """The answer goes out when the head is there; the rest of the request is read after it."""
    while True:
        head = peer.until(b"\r\n\r\n")
        peer.send(answer())
        peer.skip(length_of(head))


@behavior
def answers_early_then_ignores(peer: Peer) -> None:
    peer.until(b"\r\n\r\n")
    peer.send(answer())
    peer.ignore()


@behavior
def resets_mid_request(peer: Peer) -> None:
    peer.until(b"\r\n\r\n")
    peer.reset()


@behavior
def stops_reading(peer: Peer) -> None:
    peer.until(b"\r\n\r\n")
    peer.ignore()


# -- listening ----------------------------------------------------------------------------------


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("behavior", choices=[*BEHAVIORS, "never_accepts"])
    parser.add_argument("--after", type=int, default=0)
    options = parser.parse_args()
    # A thread for each connection, and connections come thousands a second.
    threading.stack_size(256 * 1024)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", options.port))
    # Bound and not listening: refused, and nobody else gets the port.
    if options.behavior != "refuses" or options.after:
        listener.listen(2 if options.behavior == "never_accepts" else 1024)
    print(f"listening on {listener.getsockname()[1]}", flush=True)
    if options.behavior != "never_accepts":
        serve(listener, BEHAVIORS[options.behavior], options.after)
    time.sleep(FOREVER_S)


def serve(listener: socket.socket, behave: Behavior, after: int) -> None:
    """Until the listener is closed."""
    answered = itertools.count()

    def live(peer: Peer) -> None:
        with peer.sock:
            try:
                peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while next(answered) < after:
                    peer.send(peer.request())
                behave(peer)
            except OSError:
                return

    for number in itertools.count():
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=live, args=(Peer(sock, listener, number),), daemon=True).start()


if __name__ == "__main__":
    main()
