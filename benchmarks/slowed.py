"""The reference server, a little slower: what `diagnose compare` has to find.

`python -m benchmarks.slowed MICROSECONDS [--port PORT] [--workers N]`

Each request takes this much more CPU time, in its handler. With the server on a core of its own
(--server-cpus) and CPU seconds per request known, a share of throughput becomes a number of
microseconds: 5 % less throughput is 1 / 0.95 of the time, or 5.3 % of it more.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from reference_server.__main__ import prepare
from reference_server.entry import healthy_entry
from reference_server.faults import Answer, wrap_handlers
from reference_server.messages import Handler, Request
from reference_server.supervisor import Address, run


def slower(handler: Handler, nanoseconds: int) -> Handler:
    """The handler, after so much work for nothing."""

    def slowed(request: Request) -> Answer:
        end = time.thread_time_ns() + nanoseconds
        while time.thread_time_ns() < end:
            pass
        return handler(request)

    return slowed


def main() -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("microseconds", type=float)
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 8080))
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    prepare()
    nanoseconds = round(options.microseconds * 1000)
    entry = wrap_handlers(
        healthy_entry(options.workers), lambda handler: slower(handler, nanoseconds)
    )
    return run(entry, [Address("127.0.0.1", options.port)])


if __name__ == "__main__":
    sys.exit(main())
