"""A limit of this machine, not the server, shaped the run.

Seen by failures that only the client's own kernel gives (no local port, no descriptor, no buffer
left), by a server that says so in the end of its log or holds as many descriptors as a process may
here, and by connects that took a second and more, the time after which a lost connection request is
sent again, while the kernel's limit on listen backlogs (net.core.somaxconn) was below the
connections and the server's backlog was cut to it. Each is mended by one command on this machine.
A backlog that the server itself asked for is not a limit of the machine.

Source: connect(2), accept(2), listen(2), tcp(7), getrlimit(2).
"""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.analysis.build import finding, unknown
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import LoadResult
from diagnose.model.run import Run

KIND = Kind.VALIDITY
NEEDS: tuple[str, ...] = ()

# Linux sends a lost connection request again after one second, later after 3 s and 7 s in all.
# A connect that is merely waited for on a busy machine took 0.012 s at most in our runs.
# Source: RFC 6298, 2.1.
RESENT_S = 0.9
# Standard streams, listeners, epoll and log files of a process: it fails some below its limit.
SPARE_DESCRIPTORS = 16


@dataclass(frozen=True, slots=True)
class _Limit:
    """A limit of the host: how the C library words its error, what it means, what mends it."""

    name: str
    words: tuple[str, ...]
    means: str
    remedy: str


# The words are those of strerror(3), glibc's first, then musl's.
CLIENT_LIMITS = (
    _Limit(
        "EADDRNOTAVAIL",
        ("Cannot assign requested address", "Address not available"),
        "no local port was left for another connection",
        "`sysctl -w net.ipv4.ip_local_port_range='10000 65535'`, and "
        "`sysctl -w net.ipv4.tcp_tw_reuse=1` where `ss -s` counts many in timewait",
    ),
    _Limit(
        "EMFILE",
        ("Too many open files", "No file descriptors available"),
        "a load worker had no descriptor left",
        "`ulimit -n $(ulimit -Hn)` before the run, a higher hard limit as root "
        "(`ulimit -Hn 1048576`), or more --load-workers",
    ),
    _Limit(
        "ENFILE",
        ("Too many open files in system",),
        "the machine had no open file left",
        "`sysctl -w fs.file-max=2097152`",
    ),
    _Limit(
        "ENOBUFS",
        ("No buffer space available",),
        "the kernel had no memory left for sockets",
        "raise the last number of `sysctl net.ipv4.tcp_mem` (pages of 4 KiB), or use fewer "
        "connections (-c)",
    ),
    _Limit(
        "ENOMEM",
        ("Cannot allocate memory", "Out of memory"),
        "the machine had no memory left",
        "use fewer connections (-c) or end other programs (`free -m`)",
    ),
)
# What a server's log says when accept(2) fails for want of descriptors, in lower case: Go writes it
# so, node names the error instead.
SERVER_WORDS = ("too many open files", "emfile", "enfile", "no file descriptors available")


def check(run: Run) -> Finding:
    """Found with the limit and the command that mends it."""
    load = run.load
    if load is None:
        return unknown(__name__, KIND, "the measured window gave no result")
    rows = [
        Evidence("connect_max", load.connect_max_s, "s", RESENT_S, "load.json"),
        Evidence("somaxconn", run.manifest.host.somaxconn, "connections", None, "run.json"),
    ]
    problem = _client_side(load, rows) or _descriptors(run, rows) or _backlog(run, load, rows)
    if problem is None:
        return finding(__name__, KIND, Verdict.CLEAR, "no limit of this machine was met", rows)
    claim, remedy = problem
    return finding(__name__, KIND, Verdict.FOUND, claim, rows, remedy)


def _client_side(load: LoadResult, rows: list[Evidence]) -> tuple[str, str] | None:
    """A failure whose words name a limit of the client's kernel."""
    for example in load.examples:
        # "Too many open files in system" starts with the words of another limit: longest first.
        for limit in sorted(CLIENT_LIMITS, key=lambda limit: -len(limit.words[0])):
            if not example.detail.startswith(limit.words):
                continue
            count = load.failures.get(example.kind, 0) + load.drain_failures.get(example.kind, 0)
            rows.insert(0, Evidence("failed_with", limit.name, "", "none", "load.json"))
            rows.insert(1, Evidence(example.kind, count, "failures", 0, "load.json"))
            return f"{limit.means} ({example.detail}): {count} failures", limit.remedy
    return None


def _descriptors(run: Run, rows: list[Evidence]) -> tuple[str, str] | None:
    """The server ran out of descriptors: it says so, or holds all that a process may have."""
    limit = run.manifest.host.descriptor_limit
    raised = (
        "raise the server's descriptor limit: `ulimit -Hn 1048576 && ulimit -n 1048576` in the "
        "shell that starts it (LimitNOFILE= in a unit, worker_rlimit_nofile in nginx), or use "
        "fewer connections (-c)"
    )
    for line in run.manifest.end.log_tail:
        said = next((words for words in SERVER_WORDS if words in line.lower()), "")
        if said:
            rows.insert(0, Evidence("server_log", said, "", "none", "server.log"))
            return f"the server had no descriptor left: {line.strip()[:160]}", raised
    held = max(
        (process.descriptors for sample in run.samples for process in sample.processes), default=-1
    )
    # A server that was attached to has limits of its own, which are not known here.
    if run.manifest.launch.attached or limit <= 0 or held < limit - SPARE_DESCRIPTORS:
        return None
    rows.insert(
        0, Evidence("descriptors", held, "descriptors", limit - SPARE_DESCRIPTORS, "samples.jsonl")
    )
    return f"a process of the server held {held} of the {limit} descriptors it may have", raised


def _backlog(run: Run, load: LoadResult, rows: list[Evidence]) -> tuple[str, str] | None:
    """Connects were sent again because the kernel cut the server's listen backlog."""
    somaxconn = run.manifest.host.somaxconn
    wanted = run.manifest.connections
    backlogs = [sample.sockets.accept_backlog for sample in run.samples if sample.sockets]
    backlog = max(backlogs, default=0)
    if load.connect_max_s < RESENT_S or not 0 < somaxconn < wanted or backlog < somaxconn:
        return None
    rows.insert(0, Evidence("accept_backlog", backlog, "connections", wanted, "samples.jsonl"))
    return (
        f"connecting took up to {load.connect_max_s:.1f} s, the time of connection requests sent "
        f"again: net.core.somaxconn cuts the listen backlog to {somaxconn}, for {wanted} "
        "connections",
        f"`sysctl -w net.core.somaxconn={_power_of_two(wanted)}`, then start the server again: a "
        "backlog is cut when it listens",
    )


def _power_of_two(count: int) -> int:
    """The next power of two that is not smaller."""
    return 1 << max(0, count - 1).bit_length()
