"""The report of the benchmark's load generator, with what it leaves out below.

The lines are gcannon's, field by field, so that what reads its reports reads this one. Lines that
begin with `# diagnose:` follow, and are for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from diagnose.model.load import Failure, Latency, LoadResult
from diagnose.model.report import Analyzed
from diagnose.plain import printable
from diagnose.reports.phrases import headline
from diagnose.units import format_seconds

MARK = "# diagnose:"
NOT_MEASURED = "-"
COLUMNS = "Thread Stats   Avg      p50      p90      p99    p99.9"
CONNECT = (Failure.REFUSED, Failure.CONNECT_TIMEOUT, Failure.CONNECT_ERROR)
# The generator of the benchmark counts the end of a connection as a reconnect only: said below.
ENDED = (Failure.CLOSED_WAITING, Failure.CLOSED_RECEIVING)
READ = (Failure.RESET_SENDING, Failure.RESET_WAITING, Failure.RESET_RECEIVING, *ENDED)
TIMEOUT = (Failure.TIMEOUT,)
COUNTED = frozenset((*CONNECT, *READ, *TIMEOUT))
# These are responses too, and are counted among them.
ANSWERED = frozenset((Failure.WRONG_STATUS, Failure.WRONG_BODY))
EMBEDDED = "diagnose"
CLASSES = ("2xx", "3xx", "4xx", "5xx")


def render(runs: Sequence[Analyzed]) -> str:
    """One report for each run, with an empty line between them."""
    return "\n\n".join("\n".join(_report(item)) for item in runs)


def _report(item: Analyzed) -> list[str]:
    load = item.run.load
    if load is None:
        return [
            _remark(f"{_name(item)}: the measured window gave no result, so there is no report"),
            _remark(headline(item)),
        ]
    return [*_theirs(load), *(_remark(text) for text in _ours(item, load))]


def _theirs(load: LoadResult) -> list[str]:
    latency = load.latency
    share = f"{latency.samples / load.responses:.1%}" if load.responses else NOT_MEASURED
    # A driver's counter may be 0 because it does not tell it.
    reconnects = load.opens if load.opens or load.generator == EMBEDDED else NOT_MEASURED
    classes = ", ".join(f"{name}={load.status_classes.get(name, 0)}" for name in CLASSES)
    return [
        COLUMNS,
        "  Latency" + "".join(f"   {text:>6}" for text in _latencies(latency)),
        "",
        f"{_requests(load)} requests in {load.duration_s:.2f}s, {load.responses} responses",
        f"Throughput: {_per_second(load.responses, load.duration_s, ' req/s', ('', 'K', 'M'))}",
        f"Bandwidth:  {_bandwidth(load)}",
        f"Status codes: {classes}",
        f"Latency samples: {latency.samples} / {load.responses} responses ({share})",
        f"Reconnects: {reconnects}",
        f"Errors: connect {_count(load.failures, CONNECT)}, read {_count(load.failures, READ)}, "
        f"timeout {_count(load.failures, TIMEOUT)}",
    ]


def _bandwidth(load: LoadResult) -> str:
    """Responses without a byte are those of a driver that does not count bytes."""
    if load.responses and not load.bytes_received:
        return f"{NOT_MEASURED}B/s"
    return _per_second(load.bytes_received, load.duration_s, "B/s", ("", "K", "M", "G"))


def _latencies(latency: Latency) -> list[str]:
    """A driver may not tell all of them: those are 0, which no answer takes."""
    values = (latency.mean_s, latency.p50_s, latency.p90_s, latency.p99_s, latency.p999_s)
    return [_short(value) if latency.samples and value else NOT_MEASURED for value in values]


def _short(seconds: float) -> str:
    """`12.34us`, `133.17ms`, `1.60s`: what rounds to 1000 of a unit is 1 of the next."""
    for factor, unit in ((1e6, "us"), (1e3, "ms")):
        if round(seconds * factor, 2) < 1000:
            return f"{seconds * factor:.2f}{unit}"
    return f"{seconds:.2f}s"


def _per_second(count: int, seconds: float, unit: str, prefixes: Sequence[str]) -> str:
    """A rate with powers of 1000: `62.84K req/s`, `514.51MB/s`."""
    if seconds <= 0:
        return NOT_MEASURED + unit
    rate = count / seconds
    for prefix in prefixes[:-1]:
        if round(rate, 2) < 1000:
            return f"{rate:.2f}{prefix}{unit}"
        rate /= 1000
    return f"{rate:.2f}{prefixes[-1]}{unit}"


def _count(failures: Mapping[str, int], kinds: Sequence[Failure]) -> int:
    return sum(failures.get(kind.value, 0) for kind in kinds)


def _requests(load: LoadResult) -> int:
    """Requests that were on a connection in the window, whatever became of them."""
    lost = sum(
        count
        for failures in (load.failures, load.drain_failures)
        for kind, count in failures.items()
        if kind not in ANSWERED and kind not in CONNECT
    )
    open_at_end = load.late_responses + load.unanswered
    return load.responses + lost + open_at_end + load.unanswered_at_close


def _ours(item: Analyzed, load: LoadResult) -> list[str]:
    """What gcannon does not count."""
    right = _per_second(load.ok, load.duration_s, " req/s", ("", "K", "M"))
    texts = [_name(item), f"right responses {load.ok} of {load.responses} ({right})"]
    if load.tolerated:
        texts.append(f"other answers that were allowed: {load.tolerated}")
    others = [
        f"{kind.replace('_', ' ')} {count}"
        for kind, count in sorted(load.failures.items(), key=lambda entry: -entry[1])
        if kind not in COUNTED and count
    ]
    texts.append("failures that are no errors above: " + (", ".join(others) or "none"))
    other_classes = {
        name: count for name, count in load.status_classes.items() if name not in CLASSES
    }
    if other_classes:
        texts.append(", ".join(f"{name}={count}" for name, count in sorted(other_classes.items())))
    if load.overdue:
        texts.append(f"due in the window and never sent: {load.overdue} at {load.rate:g}/s")
    if load.interrupted:
        texts.append("the run was interrupted: the window is shorter than asked for")
    texts += _embedded(load) if load.generator == EMBEDDED else _driver(load)
    return [*texts, headline(item)]


def _driver(load: LoadResult) -> list[str]:
    """Another generator tells no more than its own report."""
    name = load.generator
    return [
        f"the load came from {name}: bodies, requests that hang and closes by the server are not "
        "told; requests are responses and errors",
        *(f"{name}: {caveat}" for caveat in load.caveats),
    ]


def _embedded(load: LoadResult) -> list[str]:
    texts = [f"bodies compared {load.bodies_checked} of {load.responses}", _open_at_end(load)]
    if ended := _count(load.failures, ENDED):
        texts.append(f"read errors that were the end of a connection: {ended}")
    if load.unanswered_at_close:
        texts.append(f"pipelined behind an announced close, not failed: {load.unanswered_at_close}")
    texts.append(
        f"connections {load.established} of {load.connections} at the end, closed by the server "
        f"after a response {load.server_closes}, of these announced {load.close_announced}"
    )
    return [*texts, *load.caveats]


def _open_at_end(load: LoadResult) -> str:
    text = (
        f"in flight when the window ended: answered later {load.late_responses}, "
        f"never answered {load.unanswered}"
    )
    if load.unanswered:
        text += f" (the longest moved no byte for {format_seconds(load.unanswered_stalled_s)})"
    failed = sum(count for kind, count in load.drain_failures.items() if kind not in ANSWERED)
    return text + (f", failed {failed}" if failed else "")


def _name(item: Analyzed) -> str:
    manifest = item.run.manifest
    return (
        f"{manifest.scenario.name}, {manifest.connections} connections, {manifest.launch.name}, "
        f"{item.run.directory}"
    )


def _remark(text: str) -> str:
    """One line, whatever a server or user put into it."""
    return f"{MARK} {printable(' '.join(text.split()))}"
