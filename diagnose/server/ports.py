"""Who listens where."""

from __future__ import annotations

import errno
import os
import random
import socket
from collections.abc import Iterable
from pathlib import Path

import psutil

from diagnose.errors import HostLimit, UsageError
from diagnose.process_tree import descendants

FIRST_PORT = 10_000
FREE_PORT_TRIES = 64


def check_free(host: str, port: int) -> None:
    """Raises: UsageError naming the process that holds the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise UsageError(
                    f"port {port} is already in use by {holder(port)}; stop it, choose another "
                    "with --port, or let --port 0 find a free one (the command then needs $PORT); "
                    "`diagnose attach` measures a server that already runs"
                ) from error
            raise UsageError(f"cannot use {host}:{port}: {error.strerror}") from error


def free_port(host: str) -> int:
    """A port that was free a moment ago, on every address of the machine.

    It lies below the ports of clients where it can: one of those may be taken by a connection from
    another loopback address, and a server that binds to all addresses then cannot have it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    everywhere = "::" if family == socket.AF_INET6 else "0.0.0.0"
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    choices = range(FIRST_PORT, low) if low > FIRST_PORT else range(0)
    for port in [*random.sample(choices, min(len(choices), FREE_PORT_TRIES)), 0]:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            try:
                sock.bind((everywhere, port))
            except OSError:
                continue
            return int(sock.getsockname()[1])
    raise HostLimit("no local port is free: end what holds them (`ss -tan | wc -l`)")


def holder(port: int) -> str:
    """The process that listens on a port, in words."""
    for connection in psutil.net_connections(kind="tcp"):
        if (
            connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
        ):
            if connection.pid is None:
                return "a process of another user"
            try:
                return f"{psutil.Process(connection.pid).name()} (PID {connection.pid})"
            except psutil.Error:
                break
    return "another process"


def owns_listener(pids: Iterable[int], port: int) -> bool | None:
    """Whether one of the processes holds a listening socket of the port; None if that is not seen.

    By inode, because a socket that was inherited belongs to several processes.
    Source: proc(5), /proc/net/tcp: field 2 the local address, 4 the state (0A: listening), 10 the
    inode.
    """
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    looked = False
    for pid in pids:
        try:
            for entry in os.scandir(f"/proc/{pid}/fd"):
                looked = True
                if os.readlink(entry.path) in inodes:
                    return True
        except OSError:
            continue
    return False if looked and inodes else None


def listeners(root: int, include_root: bool) -> list[tuple[str, int]]:
    """(address, port) that the processes below `root` listen on, without duplicates."""
    pids = set(descendants(root))
    if include_root:
        pids.add(root)
    found = {
        (connection.laddr.ip, connection.laddr.port)
        for connection in psutil.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN and connection.pid in pids and connection.laddr
    }
    return sorted(found)
