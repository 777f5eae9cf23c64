"""A server that writes down what it saw: `witness_server.py PORT NOTES`.

It answers sums, /upload with the bytes that it read, /slow after 50 ms, /large?length=N with so
many bytes, /cached with its first answer for ever. On SIGTERM it writes its notes as JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from collections import Counter
from pathlib import Path

INTEGER = re.compile(r"=(\d+)")
SLOW_S = 0.05


class Witness:
    """All that was seen."""

    def __init__(self) -> None:
        self.requests = 0
        self.bytes = 0
        self.opened: list[float] = []
        self.targets: list[str] = []
        self.peers: Counter[str] = Counter()
        self.cached = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.opened.append(time.monotonic())
        self.peers[writer.get_extra_info("peername")[0]] += 1
        try:
            while await self.exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        target = head.split(" ")[1]
        match = re.search(r"content-length: *(\d+)", head, re.IGNORECASE)
        left = int(match[1]) if match else 0
        length = left
        while left:
            data = await reader.read(min(left, 1 << 16))
            if not data:
                return False
            self.bytes += len(data)
            left -= len(data)
        self.requests += 1
        if len(self.targets) < 100_000:
            self.targets.append(target)
        path = target.partition("?")[0]
        numbers = [int(number) for number in INTEGER.findall(target)]
        body = str(sum(numbers)).encode()
        if path == "/upload":
            body = str(length).encode()
        elif path == "/slow":
            await asyncio.sleep(SLOW_S)
        elif path == "/large":
            body = b"x" * numbers[0]
        elif path == "/cached":
            self.cached = self.cached or body.decode()
            body = self.cached.encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        return True


async def main() -> None:
    """Serve until SIGTERM."""
    witness = Witness()
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    server = await asyncio.start_server(witness.serve, "127.0.0.1", int(sys.argv[1]))
    await over.wait()
    server.close()
    # The first connection is the question whether it listens.
    mine = witness.opened[1:]
    witness.peers["127.0.0.1"] -= 1
    notes = {
        "requests": witness.requests,
        "bytes": witness.bytes,
        "opened": mine,
        "targets": witness.targets,
        "peers": {peer: count for peer, count in witness.peers.items() if count},
    }
    Path(sys.argv[2]).write_text(json.dumps(notes))


if __name__ == "__main__":
    asyncio.run(main())
