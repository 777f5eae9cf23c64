"""The healthy entry under circumstances that a rule may take for a fault.

python -m reference_server.gallery.edge_server large_memory PORT
"""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Callable, Sequence

from reference_server.entry import Entry, healthy_entry
from reference_server.supervisor import Address, run

LARGE_BYTES = 2**30
PARKED_THREADS = 200
# What a worker allocated at its start, for as long as it lives.
_KEPT: list[bytearray] = []


def large_memory(entry: Entry) -> Entry:
    """Gives the workers 1 GiB together at their start; none of it grows, none is given back."""

    def allocate() -> None:
        # Not zeroes: memory that was only cleared, and never written to, is not resident.
        _KEPT.append(bytearray(b"\1") * (LARGE_BYTES // entry.workers))

    return dataclasses.replace(entry, set_up=allocate)


def parked_threads(entry: Entry) -> Entry:
    """Gives the workers 200 threads together that wait for what never comes."""

    def park() -> None:
        never = threading.Event()
        for _ in range(PARKED_THREADS // entry.workers):
            threading.Thread(target=never.wait, daemon=True).start()

    return dataclasses.replace(entry, set_up=park)


EDGES: dict[str, Callable[[Entry], Entry]] = {
    "large_memory": large_memory,
    "parked_threads": parked_threads,
}


def main(arguments: Sequence[str]) -> int:
    """Serves until it is ended; returns the exit status."""
    if len(arguments) != 2 or arguments[0] not in EDGES:
        print(f"usage: edge_server {'|'.join(EDGES)} PORT", file=sys.stderr)
        return 2
    name, port = arguments
    return run(EDGES[name](healthy_entry()), [Address("127.0.0.1", int(port))])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
