"""Starts the reference server: `python -m reference_server --help`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sqlite3
import sys
from collections.abc import Sequence

from reference_server.certificate import tls_context
from reference_server.database import database_path
from reference_server.endpoints import compression_items
from reference_server.entry import healthy_entry
from reference_server.faults import fault_names, load_fault
from reference_server.made_once import cache_directory
from reference_server.postgres import fill_database, max_connections
from reference_server.static_files import static_files
from reference_server.supervisor import Address, run

MAX_PORT = 65_535


def prepare() -> None:
    """Makes what can be made before a request asks for it, once for all workers.

    Raises: OSError or sqlite3.Error when the files cannot be written.
    """
    database_path()
    static_files()
    compression_items()


def port_number(text: str) -> int:
    """A port; 0 takes any free one.

    Raises: ArgumentTypeError, which argparse prints.
    """
    if not text.isascii() or not text.isdigit() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to {MAX_PORT}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m reference_server",
        description="The healthy HttpArena entry in Python, or the same with one fault.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port",
        type=port_number,
        # Text is checked as what is typed is.
        default=os.environ.get("PORT") or "8080",
        help="0 takes any free port (default: $PORT, or 8080)",
    )
    parser.add_argument(
        "--workers", type=int, help="processes that serve (default: one for each core)"
    )
    for option, what in (
        ("--tls-port", "HTTP/1.1 over TLS"),
        ("--h2-port", "HTTP/2 over TLS"),
        ("--h2c-port", "HTTP/2 with prior knowledge, without TLS"),
    ):
        parser.add_argument(option, type=port_number, help=f"serve {what} on this port too")
    parser.add_argument(
        "--fill-database",
        action="store_true",
        help="make the table of /async-db in the PostgreSQL database of $DATABASE_URL, and end",
    )
    parser.add_argument("--fault", choices=fault_names(), help="what to do wrong (nothing)")
    options = parser.parse_args(arguments)
    if options.workers is not None and options.workers < 1:
        parser.error("--workers must be at least 1")

    try:
        max_connections()
    except ValueError as error:
        parser.error(f"DATABASE_MAX_CONN must be a whole number: {error}")

    logging.basicConfig(level=logging.INFO, format="reference_server: %(message)s")
    if options.fill_database:
        return fill(parser)
    entry = healthy_entry(options.workers)
    if options.fault:
        entry = load_fault(options.fault).apply(entry)
    addresses = [Address(options.host, options.port)]
    try:
        prepare()
        if options.tls_port is not None:
            addresses.append(Address(options.host, options.tls_port, tls_context("http/1.1")))
        if options.h2_port is not None:
            addresses.append(Address(options.host, options.h2_port, tls_context("h2"), True))
        if options.h2c_port is not None:
            addresses.append(Address(options.host, options.h2c_port, None, True))
    except (OSError, sqlite3.Error) as error:
        parser.exit(
            2,
            f"cannot make the files to serve in {cache_directory()}: {error}\n"
            "XDG_CACHE_HOME names another directory for them.\n",
        )
    try:
        return run(entry, addresses)
    except OSError as error:
        where = " and ".join(f"{each.host}:{each.port}" for each in addresses)
        parser.exit(2, f"cannot listen on {where}: {error}\n")


def fill(parser: argparse.ArgumentParser) -> int:
    """Makes the table of /async-db; returns the exit status."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        parser.error("--fill-database needs DATABASE_URL, as postgresql://USER@HOST:PORT/NAME")
    try:
        asyncio.run(fill_database(url))
    except Exception as error:  # The driver has its own for each answer of the database.
        parser.exit(1, f"cannot make the table items: {error}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
