"""Starts the reference server: `python -m reference_server --help`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from reference_server.entry import healthy_entry
from reference_server.faults import fault_names, load_fault
from reference_server.supervisor import run


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m reference_server",
        description="The healthy HttpArena entry in Python, or the same with one fault.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port",
        type=int,
        default=int(os.environ.get("PORT") or 8080),
        help="0 takes any free port (default: $PORT, or 8080)",
    )
    parser.add_argument(
        "--workers", type=int, help="processes that serve (default: one for each core)"
    )
    parser.add_argument("--fault", choices=fault_names(), help="what to do wrong (nothing)")
    options = parser.parse_args(arguments)
    if options.workers is not None and options.workers < 1:
        parser.error("--workers must be at least 1")

    logging.basicConfig(level=logging.INFO, format="reference_server: %(message)s")
    entry = healthy_entry(options.workers)
    if options.fault:
        entry = load_fault(options.fault).apply(entry)
    try:
        return run(entry, options.host, options.port)
    except OSError as error:
        parser.exit(2, f"cannot listen on {options.host}:{options.port}: {error}\n")


if __name__ == "__main__":
    sys.exit(main())
