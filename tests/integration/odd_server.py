"""A small HTTP server that goes wrong on purpose: for the integration tests only.

python odd_server.py PORT [--die-after N] [--kill-after N] [--hang-after N] [--no-answer]
                          [--daemonize] [--ignore-term] [--delay S] [--wrong-after N]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys


class Odd(asyncio.Protocol):
    """Answers every request with 55 or 75, as baseline expects, until its time comes."""

    options: argparse.Namespace
    served = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            rest = self.buffer[end + 4 :]
            if b"chunked" in head:
                if b"0\r\n\r\n" not in rest:
                    return
                rest = rest.partition(b"0\r\n\r\n")[2]
            elif b"Content-Length: 2" in head:
                if len(rest) < 2:
                    return
                rest = rest[2:]
            self.buffer = rest
            self.answer(b"75" if head.startswith(b"POST") else b"55")

    def answer(self, body: bytes) -> None:
        options = self.options
        Odd.served += 1
        if options.die_after and Odd.served > options.die_after:
            print("odd_server: out of luck", file=sys.stderr, flush=True)
            os._exit(7)
        if options.kill_after and Odd.served > options.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)
        if options.no_answer or (options.hang_after and Odd.served > options.hang_after):
            return
        if options.wrong_after and Odd.served > options.wrong_after:
            body = b"99"
        response = (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n" + body
        )
        if options.delay:
            loop = asyncio.get_running_loop()
            loop.call_later(options.delay, self.transport.write, response)
        else:
            self.transport.write(response)


async def serve(port: int) -> None:
    """Listen until the end."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Odd, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    for name in ("--die-after", "--kill-after", "--hang-after", "--wrong-after"):
        parser.add_argument(name, type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0)
    for name in ("--no-answer", "--daemonize", "--ignore-term"):
        parser.add_argument(name, action="store_true")
    Odd.options = parser.parse_args()
    if Odd.options.daemonize:
        if os.fork():
            os._exit(0)
        os.setsid()
        if os.fork():
            os._exit(0)
    if Odd.options.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    asyncio.run(serve(Odd.options.port))


if __name__ == "__main__":
    main()
