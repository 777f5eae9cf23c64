"""A small server that keeps the contract but for the faults that it is given: for tests only.

python contract_server.py PORT [FAULT...]

The core knows no socket: a connection is bytes in, bytes out. It shares no code with `diagnose`.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import gzip
import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator

import brotli

FAULTS = (
    *("caches_bodies", "ignores_chunked", "echoes_length", "answers_early", "answers_unknown"),
    *("needs_type", "takes_forms_apart", "breaks_split_heads", "drops_split_bodies", "closes"),
    *("answers_in_reverse", "constant_sum", "adds_charset", "ignores_multiplier", "always_gzip"),
    *("never_compresses", "ignores_range", "keeps_rows", "wrong_types", "other_file_as_gzip"),
    *("echoes_fragments", "no_continue", "takes_any_method", "breaks_on_bad_numbers"),
    *("broken_by_noise", "answers_twice"),
)
TYPES = {
    **{"css": "text/css", "js": "text/javascript", "html": "text/html", "svg": "image/svg+xml"},
    **{"json": "application/json", "woff2": "font/woff2", "webp": "image/webp"},
}
NAME = re.compile(r"/static/([a-z0-9-]+)\.(\w+)\Z")
UNKNOWN_FILE = "no-such-file"
REQUEST = re.compile(rb"[A-Z]+ /")
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class ContractServer:
    """What the connections have in common."""

    def __init__(self, *faults: str) -> None:
        assert set(faults) <= set(FAULTS), faults
        self.faults = set(faults)
        self.bodies: dict[str, bytes] = {}
        self.noisy = False

    def connection(self) -> Connection:
        """A new one."""
        return Connection(self)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
        """The whole response to a request."""
        path, _, query = target.partition("?")
        values = dict(pair.split("=", 1) for pair in query.split("&") if "=" in pair)
        kind = headers.get("content-type", "")
        if "needs_type" in self.faults and method == "POST" and not kind:
            return response(415, b"which type?")
        if "takes_forms_apart" in self.faults and kind == "application/x-www-form-urlencoded":
            body = b""
        if method not in ("GET", "POST") and "takes_any_method" not in self.faults:
            return response(405, b"no")
        if path == "/pipeline":
            return response(200, b"ok")
        if path in ("/baseline11", "/baseline2"):
            return self._sum(target, values, body)
        if path == "/upload" and method == "POST":
            return response(200, b"%d" % len(body), "")
        if path == "/json" or path.startswith("/json/"):
            return self._json(path, values, headers)
        if path == "/compression":
            return self._coded(document(items(6000, 1, 2)), headers, ("gzip",))
        if path in ("/db", "/async-db"):
            return self._rows(values)
        if (match := NAME.match(path)) and match[2] in TYPES:
            return self._file(path, match[2], headers)
        return response(200 if "answers_unknown" in self.faults else 404, b"what?")

    def _sum(self, target: str, values: dict[str, str], body: bytes) -> bytes:
        if "constant_sum" in self.faults:
            return response(200, b"55")
        if "caches_bodies" in self.faults and body:
            body = self.bodies.setdefault(target, body)
        try:
            total = sum(int(value) for value in values.values()) + int(body or b"0")
        except ValueError:
            return response(500 if "breaks_on_bad_numbers" in self.faults else 400, b"a number?")
        return response(200, b"%d" % total)

    def _json(self, path: str, values: dict[str, str], headers: dict[str, str]) -> bytes:
        multiplier = 1 if "ignores_multiplier" in self.faults else int(values.get("m", "1"))
        if path == "/json":
            return self._coded(document(items(50, 1, 2)), headers, ())
        count = int(path.removeprefix("/json/"))
        return self._coded(document(items(count, multiplier, None)), headers, ("gzip", "br"))

    def _coded(self, content: bytes, headers: dict[str, str], offered: tuple[str, ...]) -> bytes:
        accepted = headers.get("accept-encoding", "")
        coding = next((each for each in offered if each in accepted), "")
        if "never_compresses" in self.faults:
            coding = ""
        if "always_gzip" in self.faults:
            coding = "gzip"
        more = f"Content-Encoding: {coding}\r\n" if coding else ""
        kind = "application/json" + "; charset=utf-8" * ("adds_charset" in self.faults)
        return response(200, coded(content, coding), kind, more)

    def _rows(self, values: dict[str, str]) -> bytes:
        low, high = float(values["min"]), float(values["max"])
        limit = int(values.get("limit", "50"))
        if "ignores_range" in self.faults:
            low, high = 10.0, 50.0
        found = items(0 if low > 1000 or "keeps_rows" in self.faults else limit, 1, None)
        for row in found:
            row["price"] = min(high, low + 1)
        return response(200, document(found), "application/json")

    def _file(self, path: str, suffix: str, headers: dict[str, str]) -> bytes:
        if UNKNOWN_FILE in path and "answers_unknown" not in self.faults:
            return response(404, b"what?")
        content = f"the file {path} ".encode() * 50
        coding = "gzip" if "gzip" in headers.get("accept-encoding", "") else ""
        if coding and "other_file_as_gzip" in self.faults:
            content = b"another file"
        kind = "text/plain" if "wrong_types" in self.faults else TYPES[suffix]
        more = f"Content-Encoding: {coding}\r\n" if coding else ""
        return response(200, coded(content, coding), kind, more)


class Connection:
    """One connection: `receive` gives what to send now; `over` means to close behind it."""

    def __init__(self, server: ContractServer) -> None:
        self.server, self.faults = server, server.faults
        self.buffer = bytearray()
        self.over = False
        self._continued = False
        self._skip = 0
        self._websocket = False
        self._message = b""

    def receive(self, data: bytes) -> bytes:
        """What the bytes of one read bring about."""
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        begun = not self.buffer
        self.buffer += data[skipped:]
        if begun and not self._websocket and self._breaks():
            return self._refused()
        if self.server.noisy:
            # The connection after the noise pays for it.
            self.server.noisy, self.over = False, True
            return b""
        if begun and not self._websocket and "broken_by_noise" in self.faults:
            self.server.noisy = not REQUEST.match(self.buffer)
        answers = list(self._frames() if self._websocket else self._requests())
        if "answers_in_reverse" in self.faults:
            answers.reverse()
        return b"".join(answers)

    def end(self) -> bytes:
        """What the half-close of the client brings about."""
        head = re.search(rb"Content-Length: (\d+)", self.buffer)
        self.over = True
        if "echoes_length" in self.faults and head is not None:
            return response(200, head[1], "")
        return b""

    def _breaks(self) -> bool:
        """The first read of a request is not what a naive server hopes for."""
        _, end, body = bytes(self.buffer).partition(b"\r\n\r\n")
        if "breaks_split_heads" in self.faults and self.buffer and not end:
            return True
        length = re.search(rb"/baseline11.*Content-Length: (\d+)", self.buffer, re.DOTALL)
        split = length is not None and bool(end) and len(body) < int(length[1])
        return "drops_split_bodies" in self.faults and split

    def _refused(self) -> bytes:
        self.over = True
        return response(400, b"in one piece, please")

    def _requests(self) -> Iterator[bytes]:
        while not self.over and not self._websocket:
            head, end, _ = bytes(self.buffer[:65536]).partition(b"\r\n\r\n")
            if not end:
                return
            line, *rest = head.decode("latin-1").split("\r\n")
            if not re.fullmatch(r"[A-Z]+ \S+ HTTP/1\.1", line):
                yield self._refused()
                return
            method, target, _ = line.split(" ")
            fields = (field.partition(":") for field in rest)
            headers = {name.lower(): value.strip() for name, _, value in fields}
            if headers.get("upgrade") == "websocket" and target == "/ws":
                del self.buffer[: len(head) + 4]
                self._websocket = True
                yield upgraded(headers["sec-websocket-key"])
                return
            length = int(headers.get("content-length", "0"))
            body = self._body(len(head) + 4, length, "transfer-encoding" in headers)
            if body is None:
                early = "answers_early" in self.faults and target == "/upload"
                if early and length:
                    self._skip = length - (len(self.buffer) - len(head) - 4)
                    self.buffer.clear()
                    yield response(200, b"%d" % length, "")
                elif "expect" in headers and not self._continued:
                    self._continued = True
                    if "no_continue" not in self.faults:
                        yield b"HTTP/1.1 100 Continue\r\n\r\n"
                return
            self._continued = False
            answer = self.server.answer(method, target, headers, body)
            if "closes" in self.faults:
                self.over = True
                answer = answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
            yield answer * (2 if "answers_twice" in self.faults else 1)

    def _body(self, start: int, length: int, chunked: bool) -> bytes | None:
        """The body behind a head, taken out of the buffer with it; None when it is not there."""
        if not chunked:
            if len(self.buffer) < start + length:
                return None
            body = bytes(self.buffer[start : start + length])
            del self.buffer[: start + length]
            return body
        parts, position = [], start
        while (end := self.buffer.find(b"\r\n", position)) >= 0:
            size = int(self.buffer[position:end], 16)
            if len(self.buffer) < end + 4 + size:
                return None
            parts.append(bytes(self.buffer[end + 2 : end + 2 + size]))
            position = end + 4 + size
            if not size:
                del self.buffer[:position]
                return b"" if "ignores_chunked" in self.faults else b"".join(parts)
        return None

    def _frames(self) -> Iterator[bytes]:
        """Messages of less than 126 bytes, unmasked and sent back."""
        while len(self.buffer) >= 6 and len(self.buffer) >= 6 + (self.buffer[1] & 127):
            final, size, mask = self.buffer[0] & 128, self.buffer[1] & 127, self.buffer[2:6]
            coded_payload = self.buffer[6 : 6 + size]
            del self.buffer[: 6 + size]
            payload = bytes(each ^ mask[at % 4] for at, each in enumerate(coded_payload))
            self._message += payload
            if final or "echoes_fragments" in self.faults:
                yield bytes([0x81, len(self._message)]) + self._message
                self._message = b""


def response(status: int, body: bytes, kind: str = "text/plain", more: str = "") -> bytes:
    """A response with its length."""
    typed = f"Content-Type: {kind}\r\n" if kind else ""
    head = f"HTTP/1.1 {status} X\r\n{typed}{more}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def upgraded(key: str) -> bytes:
    """The agreement to a WebSocket."""
    accept = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()
    return f"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode()


def items(count: int, multiplier: int, decimals: int | None) -> list[dict[str, object]]:
    """Dataset items with totals."""
    found: list[dict[str, object]] = []
    for number in range(count):
        price, quantity = 10 + number % 40, number % 7
        total = price * quantity * multiplier
        found.append(
            {
                **{"id": number, "name": "n", "category": "c", "price": price},
                **{"quantity": quantity, "active": True, "tags": []},
                "rating": {"score": 1.5, "count": 2},
                "total": total if decimals is None else round(float(total), decimals),
            }
        )
    return found


def document(found: list[dict[str, object]]) -> bytes:
    """The JSON of items."""
    return json.dumps({"items": found, "count": len(found)}).encode()


def coded(content: bytes, coding: str) -> bytes:
    """In a content coding, or as it is."""
    if coding == "gzip":
        return gzip.compress(content, 1)
    return bytes(brotli.compress(content, quality=1)) if coding == "br" else content


def serve(sock: socket.socket, connection: Connection) -> None:
    """One connection until its end."""
    with sock, contextlib.suppress(OSError):
        while not connection.over:
            data = sock.recv(1 << 20)
            sock.sendall(connection.receive(data) if data else connection.end())


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("faults", nargs="*", help=", ".join(FAULTS))
    options = parser.parse_args()
    server = ContractServer(*options.faults)
    with socket.create_server(("127.0.0.1", options.port), backlog=128) as listener:
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            arguments = (sock, server.connection())
            threading.Thread(target=serve, args=arguments, daemon=True).start()


if __name__ == "__main__":
    main()
