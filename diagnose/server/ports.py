"""Who listens where."""

from __future__ import annotations

import errno
import socket

import psutil

from diagnose.errors import UsageError
from diagnose.process_tree import descendants


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
    """A port that was free a moment ago."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.bind((host, 0))
        return int(sock.getsockname()[1])


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
