"""How a finding shows with standard tools: at most three commands, the last prints a figure.

The figure is held against a limit between what this server did and what a healthy one does, so
that whoever runs the commands can tell whether they saw the same.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from diagnose.model.scenario import Protocol, RequestTemplate
from diagnose.values import has_values

MIB = 2**20
# Where the reader's server listens.
PORT = 8080
LOAD_S = 10
# Requests beside a load; each may take two seconds to be given up.
ASKED = 8
# Two uploads on one connection are over between two looks at the memory: a server that held 17 MiB
# of each was not caught.
FEWEST_UPLOADS = 64
BODY = "/tmp/diagnose-body"
LOG = "/tmp/diagnose-server.log"
# All processes of a background job are in its process group, in an interactive shell and below
# `set -m`. Source: bash(1), JOB CONTROL.
PIDS = '"$(pgrep -d, -g $SERVER)"'


@dataclass(frozen=True, slots=True)
class Recipe:
    """What shows a finding.

    start: the command that starts the server and waits for it; '' where it is running. commands:
    what is done then; the last one prints one number. above: the symptom is a number of at least
    `limit`, else of at most that. tools: programs that are needed.
    """

    finding: str
    figure: str
    start: str
    commands: tuple[str, ...]
    limit: float
    above: bool
    tools: tuple[str, ...]

    def shows(self, value: float) -> bool:
        """A figure that was printed is the symptom."""
        return value >= self.limit if self.above else value <= self.limit

    @property
    def expectation(self) -> str:
        """`100 or more`."""
        return f"{self.limit:,.0f} or {'more' if self.above else 'less'}"


Maker = Callable[[Run, Finding, str], Recipe | None]


def recipe(item: Analyzed, port: int = PORT, command: Sequence[str] = ()) -> Recipe | None:
    """Of the first finding that standard tools can show: causes first; None where there is none.

    command: another server than that of the run, with its port in it already.
    """
    run = item.run
    scenario = run.manifest.scenario
    if scenario.protocol is not Protocol.HTTP or scenario.tls:
        return None
    found = [finding for finding in item.findings if finding.verdict is Verdict.FOUND]
    for kind in (Kind.CAUSE, Kind.SYMPTOM):
        for finding in found:
            maker = _MAKERS.get(finding.id) if finding.kind is kind else None
            if maker is not None:
                start = _start(run, port, command)
                made = maker(run, finding, f"http://127.0.0.1:{port}")
                if made is not None:
                    return _with_start(made, start)
    return None


def script(found: Recipe, command_line: str) -> str:
    """The commands as a script that ends what it starts."""
    lines = [
        "#!/usr/bin/env bash",
        f"# Shows {found.finding}: prints {found.figure}; {found.expectation} is the symptom.",
        f"# Needs {', '.join(found.tools)}. The run that it is about: {command_line}",
        "set -m",
        "trap 'exit 1' INT TERM",
        "trap 'for job in $(jobs -p); do kill -9 -- -$job; done 2> /dev/null' EXIT",
        found.start or "# The server is running already.",
        *found.commands,
        "",
    ]
    return "\n".join(lines)


def _with_start(made: Recipe, start: str) -> Recipe:
    return Recipe(
        made.finding, made.figure, start, made.commands, made.limit, made.above, made.tools
    )


def _start(run: Run, port: int, command: Sequence[str]) -> str:
    """The server in the background, and a wait until it answers."""
    launch = run.manifest.launch
    if launch.attached and not command:
        return ""
    words = command or [_on_port(word, launch.port, port) for word in launch.command]
    wait = "curl -s -o /dev/null --retry 30 --retry-connrefused --retry-delay 1"
    background = f"PORT={port} {shlex.join(words)} > {LOG} 2>&1 & SERVER=$!"
    return f"{background}; {wait} http://127.0.0.1:{port}/"


def _on_port(word: str, was: int, port: int) -> str:
    """The argument with the port of the run replaced, where it stands as a number of its own."""
    start = 0
    while (found := word.find(str(was), start)) >= 0:
        end = found + len(str(was))
        around = word[found - 1 : found] + word[end : end + 1]
        if not any(character.isdigit() for character in around):
            word = f"{word[:found]}{port}{word[end:]}"
            end = found + len(str(port))
        start = end
    return word


# -- what is sent ----------------------------------------------------------------------------------


def _plain_get(run: Run) -> RequestTemplate | None:
    """A request that a URL says whole."""
    for template in run.manifest.scenario.templates:
        bare = template.raw is None and not template.payload_length and not template.headers
        if bare and template.method == "GET" and not has_values(template.target.encode()):
            return template
    return None


def _url(base: str, template: RequestTemplate) -> str:
    return shlex.quote(base + template.target)


def _wrk(run: Run, url: str, options: str = "", seconds: int = LOAD_S) -> str:
    connections = min(run.manifest.connections, 1000)
    return f"wrk -t1 -c{connections} -d{seconds}s{options} {url}"


def _upload(run: Run, base: str) -> tuple[str, int] | None:
    """Uploads of the scenario's longest generated body by so many at once, in the background."""
    uploads = [each for each in run.manifest.scenario.templates if each.body_length]
    if not uploads:
        return None
    template = max(uploads, key=lambda each: each.body_length)
    at_once = min(run.manifest.connections, 256)
    count = max(2 * at_once, FEWEST_UPLOADS)
    chunked = " -H 'Transfer-Encoding: chunked'" if template.chunked else ""
    return (
        f"head -c {template.body_length} /dev/zero > {BODY}; "
        f"seq {count} | xargs -P {at_once} -I@ curl -s -m 60 -o /dev/null -H Expect:"
        f"{chunked} -X {template.method} "
        f"-T {BODY} {_url(base, template)} &",
        at_once,
    )


# -- what is looked at -----------------------------------------------------------------------------


def _memory(run: Run, finding: Finding, base: str) -> Recipe | None:
    """Peak RSS while bodies are uploaded."""
    sent = _upload(run, base)
    loaded = [
        sample.rss for name in ("wave", "warmup", "window") for sample in run.samples_in(name)
    ]
    before = [sample.rss for sample in run.samples_in("idle")]
    if sent is None or not loaded or not before:
        return None
    # A quarter of the rise: curl starts its uploads one by one, and fewer are in flight at once.
    limit = before[-1] + (max(loaded) - before[-1]) / 4
    watch = (
        f"for i in $(seq 100); do ps -o rss= -p {PIDS}; echo; sleep 0.1; done | "
        "awk '{s += $1} /^$/ {if (s > m) m = s; s = 0} END {print int(m / 1024)}'"
    )
    return Recipe(
        finding.id, "the peak RSS of the server in MiB", "", (sent[0], watch),
        round(limit / MIB), True, ("curl", "ps", "pgrep", "awk"),
    )  # fmt: skip


def _one_thread(run: Run, finding: Finding, base: str) -> Recipe | None:
    """The share of the busiest thread in the CPU time of the server."""
    template = _plain_get(run)
    if template is None:
        return None
    load = f"{_wrk(run, _url(base, template))} > /dev/null &"
    watch = (
        f"sleep {LOAD_S}; ps -L -o cputimes= -p {PIDS} | sort -n | "
        "awk '{s += $1; m = $1} END {print int(100 * m / (s > 0 ? s : 1))}'"
    )
    return Recipe(
        finding.id, "the share of the busiest thread in the server's CPU time, in %", "",
        (load, watch), 80, True, ("wrk", "ps", "pgrep", "awk"),
    )  # fmt: skip


def _reconnects(run: Run, finding: Finding, base: str) -> Recipe | None:
    """Connections that a client that keeps them needs for its requests."""
    template = _plain_get(run)
    load = run.load
    if template is None or load is None:
        return None
    cap = max(load.closes_after, key=lambda key: load.closes_after[key], default=1)
    asked = max(100, 4 * cap)
    # curl does not send what stands behind `#`, and counts it up.
    count = (
        f"curl -s -o /dev/null -w '%{{num_connects}}\\n' {_url(base, template)}'#[1-{asked}]' | "
        "awk '{n += $1} END {print n}'"
    )
    return Recipe(
        finding.id, f"the connections that curl opened for {asked} requests (1 is right)", "",
        (count,), 2, True, ("curl", "awk"),
    )  # fmt: skip


def _failures(run: Run, finding: Finding, base: str) -> Recipe | None:
    """Requests that got no 2xx answer."""
    template = _plain_get(run)
    if template is None:
        return None
    count = (
        f"{_wrk(run, _url(base, template), ' --timeout 3s')} | awk '/Non-2xx/ {{n += $NF}} "
        '/Socket errors/ {gsub(/[^0-9 ]/, ""); for (i = 1; i <= NF; i++) n += $i} '
        "END {print n + 0}'"
    )
    return Recipe(
        finding.id, f"the requests of {LOAD_S} s that failed", "", (count,), 1, True, ("wrk", "awk")
    )


def _turned_away(run: Run, finding: Finding, base: str) -> Recipe | None:
    """Requests on new connections that get no answer while the load has its own.

    wrk counts late answers as timeouts, and none that never come.
    """
    template = _plain_get(run)
    if template is None:
        return None
    url = _url(base, template)
    count = (
        f"sleep 2; for i in $(seq {ASKED}); do curl -s -m 2 -o /dev/null -w '%{{http_code}}\\n' "
        f"{url}; done | grep -c 000"
    )
    return Recipe(
        finding.id, f"the requests of {ASKED} on new connections that got no answer", "",
        (f"{_wrk(run, url, seconds=2 + 3 * ASKED)} > /dev/null &", count), ASKED / 2, True,
        ("wrk", "curl", "grep"),
    )  # fmt: skip


def _late(run: Run, finding: Finding, base: str) -> Recipe | None:
    """Requests one after the other on one connection, which a late acknowledgment holds up."""
    template = _plain_get(run)
    if template is None:
        return None
    # Linux acknowledges the first segments of a connection at once: 200 requests are past them.
    count = (
        f"curl -s -o /dev/null -w '%{{time_total}}\\n' {_url(base, template)}'#[1-200]' | "
        "awk '{s += $1} END {print int(1000 * s)}'"
    )
    return Recipe(
        finding.id, "the milliseconds of 200 requests on one connection", "", (count,),
        2000, True, ("curl", "awk"),
    )  # fmt: skip


def _tail(run: Run, finding: Finding, base: str) -> Recipe | None:
    """The 99th percentile of latency."""
    template = _plain_get(run)
    latency = run.load.latency if run.load else None
    if template is None or latency is None or latency.p99_s < 0.002:
        return None
    count = (
        f"{_wrk(run, _url(base, template), ' --latency')} | awk '/99%/ {{v = $2 + 0; "
        "print int($2 ~ /us/ ? v / 1000 : $2 ~ /ms/ ? v : 1000 * v)}'"
    )
    return Recipe(
        finding.id, "p99 of the latency in ms", "", (count,),
        max(1, round(latency.p99_s * 500)), True, ("wrk", "awk"),
    )  # fmt: skip


def _wrong(header: str, chunked: bool = False) -> Maker:
    """Answers to a form of the request that are not what its plain form gets."""

    def make(run: Run, finding: Finding, base: str) -> Recipe | None:
        for template in run.manifest.scenario.templates:
            expected, body = template.expect.body, template.body
            if not expected or expected == "$LENGTH" or not body or template.chunked != chunked:
                continue
            count = (
                f"for i in $(seq 10); do curl -s -m 10 {header} -d {shlex.quote(body)} "
                f"{_url(base, template)}; echo; done | grep -vxc {shlex.quote(expected)}"
            )
            return Recipe(
                finding.id, f"the answers of 10 that were not {expected}", "", (count,), 1, True,
                ("curl", "grep"),
            )  # fmt: skip
        return None

    return make


def _wrong_get(run: Run, finding: Finding, base: str) -> Recipe | None:
    """Answers to GET with another body than the contract's."""
    template = _plain_get(run)
    if template is None or not template.expect.body:
        return None
    count = (
        f"for i in $(seq 300); do curl -s -m 10 {_url(base, template)}; echo; done | "
        f"grep -vxc {shlex.quote(template.expect.body)}"
    )
    return Recipe(
        finding.id, f"the answers of 300 that were not {template.expect.body}", "", (count,), 1,
        True, ("curl", "grep"),
    )  # fmt: skip


_MAKERS: dict[str, Maker] = {
    "body_buffered": _memory,
    "body_copied": _memory,
    "memory_blowup": _memory,
    "single_threaded": _one_thread,
    "connection_closed": _reconnects,
    "keepalive_capped": _reconnects,
    "errors": _failures,
    "crashed": _failures,
    "hung": _turned_away,
    "connection_cap": _turned_away,
    "fd_exhausted": _turned_away,
    "delayed_ack": _late,
    "slow_tail": _tail,
    "wrong_answers": _wrong_get,
    "chunked_ignored": _wrong("-H 'Transfer-Encoding: chunked'", chunked=True),
    "content_type_dependent": _wrong("-H Content-Type:"),
}
