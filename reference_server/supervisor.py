"""The parent process: starts one worker for each core, replaces those that die, stops them all."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from reference_server.entry import Entry
from reference_server.worker import Listener, serve

log = logging.getLogger(__name__)

# A worker that dies younger than this would only die again: better to stop and say so.
MIN_WORKER_SECONDS = 0.5
# After this long a worker that does not drain is killed; the whole stop stays under two seconds.
STOP_SECONDS = 1.5
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that serves; `started` is on the monotonic clock."""

    pid: int
    index: int
    started: float


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen, what to encrypt the connections with, if anything, and for which HTTP."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    http2: bool = False


def run(entry: Entry, addresses: Sequence[Address]) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit status of the process."""
    opened = []
    for address in addresses:
        sockets = open_listeners(address.host, address.port, entry.workers, entry.backlog)
        entry.listening(sockets)
        host, port = sockets[0].getsockname()[:2]
        what = (" HTTP/2" if address.http2 else "") + (" with TLS" if address.tls else "")
        log.info("listening on %s:%d%s, %d workers", host, port, what, entry.workers)
        opened.append([Listener(each, address.tls, address.http2) for each in sockets])
    # By worker: each one has a socket of its own for every address.
    listeners = list(zip(*opened, strict=True))
    if not entry.supervised:
        serve(entry, listeners[0])
        return 0
    return supervise(entry, listeners)


def open_listeners(host: str, port: int, count: int, backlog: int) -> list[socket.socket]:
    """`count` sockets that listen on one port; the kernel spreads new connections over them.

    They are opened here, and kept open here, so that an address in use is reported before
    anything starts, and so that connections in the accept queue of a worker that died wait for
    its replacement. A single queue shared by all workers would be emptied by whichever worker
    wakes up first, and that is mostly the same one.

    Raises: OSError when the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Sockets with SO_REUSEPORT may join each other's port, another server's too; one without
    # it may not, so it finds out whether the port is free.
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        port = probe.getsockname()[1]
    listeners = []
    for _ in range(count):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(backlog)
        listener.setblocking(False)
        listeners.append(listener)
    return listeners


def supervise(entry: Entry, listeners: Sequence[Sequence[Listener]]) -> int:
    """Keeps the workers running until a signal says to stop; `listeners` are by worker."""
    # Blocked signals wait until sigwaitinfo takes them: none is missed, none interrupts.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    workers = {}
    for index in range(entry.workers):
        worker = start_worker(entry, listeners, index)
        workers[worker.pid] = worker
    status = 0
    while signal.sigwaitinfo(SIGNALS).si_signo == signal.SIGCHLD:
        for worker in reap(workers):
            if time.monotonic() - worker.started < MIN_WORKER_SECONDS:
                log.error("worker %d died as soon as it started; stopping", worker.index)
                status = 1
                break
            log.warning("worker %d died and is replaced", worker.index)
            replacement = start_worker(entry, listeners, worker.index)
            workers[replacement.pid] = replacement
        if status:
            break
    stop(workers)
    return status


def start_worker(entry: Entry, listeners: Sequence[Sequence[Listener]], index: int) -> Worker:
    """Forks the worker of this index."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return Worker(pid, index, time.monotonic())
    # From here on in the child, which must never return into the parent's code.
    status = 1
    try:
        die_with(parent)
        for other, own in enumerate(listeners):
            if other != index:
                for listener in own:
                    listener.socket.close()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        serve(entry, listeners[index])
        status = 0
    except BaseException:
        log.exception("worker %d failed", index)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def die_with(parent: int) -> None:
    """The kernel kills this process when its parent is gone, however that ended."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)  # It was gone before the call.


def reap(workers: dict[int, Worker]) -> list[Worker]:
    """Takes the workers that ended out of `workers`."""
    # One SIGCHLD may stand for several children.
    ended = [pid for pid in workers if os.waitpid(pid, os.WNOHANG)[0] == pid]
    return [workers.pop(pid) for pid in ended]


def stop(workers: dict[int, Worker]) -> None:
    """Has all workers drain, and kills those that take too long."""
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while workers and (left := deadline - time.monotonic()) > 0:
        reap(workers)
        if workers:
            signal.sigtimedwait({signal.SIGCHLD}, left)
    reap(workers)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    for pid in workers:
        os.waitpid(pid, 0)
