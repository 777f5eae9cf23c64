"""`/baseline2` and `/json/{n}` over HTTP/2, and that its own port refuses HTTP/1.1."""

from __future__ import annotations

from functools import partial

from diagnose.load.conversation import Piece, Seen
from diagnose.load.http2 import Http2Reader, gets
from diagnose.load.validation.baseline import PIPELINED, queried, summed
from diagnose.load.validation.check import Asked, Asking, Check, Plan, Verdict, Way
from diagnose.load.validation.json_items import COUNTED, SIZES, some, target
from diagnose.load.validation.judging import as_wanted, single
from diagnose.model.scenario import Expectation
from diagnose.model.validation import Outcome

TLS, CLEAR, PLAIN = "baseline-h2", "json-h2c", "baseline2"
PATH = "/baseline2"
# A refusal comes at once; a server that still says nothing has not refused.
REFUSAL_S = 1.0


def _asked(asking: Asking, scheme: str, pairs: list[tuple[str, Expectation]]) -> Plan:
    sent = gets([path for path, _ in pairs], asking.authority, scheme)
    wants = tuple(want for _, want in pairs)
    return Plan((Asked((Piece(sent),), wants, as_wanted, reader=Http2Reader),))


def _sums(asking: Asking, count: int) -> Plan:
    drawn = [queried(asking, PATH) for _ in range(count)]
    return _asked(asking, "https", [(path, summed(total)) for path, total in drawn])


def _sizes(asking: Asking) -> Plan:
    return _asked(asking, "http", [(target(*each), some(*each)) for each in SIZES])


def _plain(asking: Asking) -> Plan:
    path, total = queried(asking, PATH)
    return Plan((single(asking.get(path), summed(total)),))


def _http1(asking: Asking) -> Plan:
    asked = Asked(
        (Piece(asking.get(target(*SIZES[0]))),),
        (Expectation(),),
        refused,
        "anything but success: HTTP/1.1 is not spoken on this port",
        patience_s=REFUSAL_S,
    )
    return Plan((asked,))


def refused(asked: Asked, seen: Seen) -> Verdict:
    """The judge of an HTTP/1.1 request to a port that speaks HTTP/2 only."""
    if seen.responses:
        status = seen.responses[0].head.status
        if status >= 400:
            return Verdict(Outcome.PASS, f"refused with status {status}")
        return Verdict(Outcome.FAIL, f"HTTP/1.1 was answered with status {status}")
    if seen.timed_out:
        return Verdict(Outcome.WARN, f"neither refused nor closed within {REFUSAL_S:g} s")
    return Verdict()


CHECKS = (
    Check(PLAIN, "GET over HTTP/1.1", PATH, _plain),
    Check(TLS, "GET", PATH, partial(_sums, count=1), Way.H2),
    Check(TLS, f"{PIPELINED} streams at once", PATH, partial(_sums, count=PIPELINED), Way.H2),
    Check(CLEAR, f"the {len(SIZES)} sizes with totals", COUNTED, _sizes, Way.H2C),
    Check(CLEAR, "HTTP/1.1 is refused", "", _http1, Way.H2C),
)
