"""Asks a server: one check at a time, each within its deadline."""

from __future__ import annotations

import random
import re
import ssl
import time
from dataclasses import replace

from diagnose.load.conversation import Seen, converse
from diagnose.load.line import Line
from diagnose.load.validation.check import Asked, Asking, Check, Target, Verdict, Way
from diagnose.model.validation import CheckResult, Excerpt, Exchange, Outcome
from diagnose.tls import client_context

# A server that let so many checks in a row time out is not waited for as long any more: all
# checks together would take minutes.
STRIKES = 2
SHORT_TIMEOUT_S = 1.0
OPTIONS = {Way.HTTP: "--port", Way.TLS: "--tls-port", Way.H2: "--h2-port", Way.H2C: "--h2c-port"}
_ERROR = re.compile(rb"HTTP/1\.[01] ([45][0-9]{2})\b")
_SEVERITY = (Outcome.PASS, Outcome.WARN, Outcome.FAIL, Outcome.ERROR)


class Prober:
    """Makes checks of one server. timeout_s: of each connection, from its opening to its end."""

    def __init__(self, target: Target, timeout_s: float, draw: random.Random) -> None:
        self._target, self._timeout_s, self._draw = target, timeout_s, draw
        self._strikes = 0

    def run(self, check: Check) -> CheckResult:
        """Make one check."""
        result = CheckResult(check.group, check.name, check.endpoint, Outcome.SKIPPED)
        if check.unable:
            return replace(result, detail=check.unable)
        if check.way not in self._target.ports:
            return replace(result, detail=f"no {OPTIONS[check.way]}")
        plan = check.plan(Asking(self._draw, self._target.authority(check.way)))
        exchanges: list[Exchange] = []
        came: list[Seen] = []
        for asked in plan.asked:
            seen, exchange = self._exchange(asked, check.way)
            came.append(seen)
            exchanges.append(exchange)
            if exchange.outcome is Outcome.ERROR:
                break
        late = any(
            seen.timed_out and asked.patience_s is None
            for seen, asked in zip(came, plan.asked, strict=False)
        )
        self._strikes = self._strikes + 1 if late else 0
        worst = max(exchanges, key=lambda each: _SEVERITY.index(each.outcome))
        outcome, detail = worst.outcome, worst.detail
        if (
            plan.compare is not None
            and outcome is Outcome.PASS
            and (problem := plan.compare(came)) is not None
        ):
            number, detail = problem
            outcome = Outcome.FAIL
            exchanges[number] = replace(exchanges[number], outcome=outcome, detail=detail)
        wrong = sum(each.outcome in (Outcome.FAIL, Outcome.ERROR) for each in exchanges)
        if wrong > 1:
            detail += f" (and {wrong - 1} more of {len(plan.asked)} connections)"
        if not check.demanded and outcome in (Outcome.FAIL, Outcome.ERROR):
            outcome = Outcome.WARN
        return replace(
            result,
            outcome=outcome,
            detail=detail,
            elapsed_s=sum(each.elapsed_s for each in came),
            exchanges=tuple(exchanges),
        )

    def _exchange(self, asked: Asked, way: Way) -> tuple[Seen, Exchange]:
        timeout_s = self._timeout_s
        if self._strikes >= STRIKES:
            timeout_s = min(timeout_s, SHORT_TIMEOUT_S)
        if asked.patience_s is not None:
            timeout_s = min(timeout_s, asked.patience_s)
        seen, verdict = self._seen(asked, way, timeout_s)
        return seen, Exchange(
            port=self._target.ports[way],
            outcome=verdict.outcome,
            detail=verdict.detail,
            expected=asked.in_words(),
            events=seen.events,
            statuses=tuple(response.head.status for response in seen.responses) or _refusal(seen),
        )

    def _seen(self, asked: Asked, way: Way, timeout_s: float) -> tuple[Seen, Verdict]:
        port = self._target.ports[way]
        context = self._context(way)
        started = time.monotonic()
        try:
            with Line(self._target.address, port, timeout_s, context) as line:
                if way is Way.H2 and line.protocol != "h2":
                    return _NOTHING, Verdict(Outcome.ERROR, "TLS, but ALPN did not agree on h2")
                seen = converse(
                    *(line, asked.pieces, asked.reader(), len(asked.wants), timeout_s),
                    finish=asked.finish,
                )
            seen = replace(seen, elapsed_s=time.monotonic() - started)
        except OSError as error:
            late = isinstance(error, TimeoutError)
            said = f"cannot connect to port {port}: {_reason(error)}"
            return replace(_NOTHING, problem=said, timed_out=late), Verdict(Outcome.ERROR, said)
        return seen, asked.judge(asked, seen)

    def _context(self, way: Way) -> ssl.SSLContext | None:
        if way is Way.H2:
            return client_context(("h2",))
        secure = way is Way.TLS or (way is Way.HTTP and self._target.https)
        return client_context() if secure else None


_NOTHING = Seen((), "", 0.0, 0, 0, Excerpt(b"", b"", 0))


def _refusal(seen: Seen) -> tuple[int, ...]:
    """The status of an error that came in place of another protocol, or in part."""
    match = _ERROR.match(seen.received.start)
    return (int(match[1]),) if match else ()


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"no TLS there ({error.strerror or error})"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused: nothing listens there"
    return error.strerror or str(error)
