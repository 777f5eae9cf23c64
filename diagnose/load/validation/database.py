"""`/db` and `/async-db`: rows of a price range, at most 50 or as many as were asked for."""

from __future__ import annotations

import json
from functools import partial

from diagnose.load.conversation import Piece, Seen
from diagnose.load.validation.check import Asked, Asking, Check, Plan, Verdict
from diagnose.load.validation.judging import PASSED, as_wanted, single
from diagnose.model.scenario import Expectation
from diagnose.model.validation import Outcome

DB, ASYNC = "db", "async-db"
PATHS = {DB: "/db", ASYNC: "/async-db"}
MOST_ROWS = 50
LIMITS = (5, 10, 20, 35, 50)
# The range of the profiles; among 100,000 rows more than 50 lie in it.
LOW, HIGH = 10, 50
# Beyond every price of the contract's dataset.
NOTHING = (1_000_000, 2_000_000)
_JSON = "application/json"


def rows(low: int, high: int, limit: int) -> Expectation:
    """The answer to a query for prices from low to high."""
    return Expectation(content_type=_JSON, rows=limit, price=(low, high))


def _target(path: str, low: int, high: int, limit: int | None) -> str:
    query = f"{path}?min={low}&max={high}"
    return query if limit is None else f"{query}&limit={limit}"


def _full(asking: Asking, group: str) -> Plan:
    limits = [None] if group == DB else LIMITS
    judge = all_rows if group == DB else some_rows
    asked = []
    for limit in limits:
        most = limit or MOST_ROWS
        request = asking.get(_target(PATHS[group], LOW, HIGH, limit))
        expected = f"status 2xx, {_JSON}, {most} rows with prices {LOW} to {HIGH}"
        asked.append(Asked((Piece(request),), (rows(LOW, HIGH, most),), judge, expected))
    return Plan(tuple(asked))


def _drawn(asking: Asking, group: str) -> Plan:
    # No price of the profiles' own range: a constant answer is wrong.
    low = asking.draw.randint(HIGH + 10, HIGH + 100)
    high = low + asking.draw.randint(5, 100)
    limit = None if group == DB else asking.draw.randint(1, MOST_ROWS)
    request = asking.get(_target(PATHS[group], low, high, limit))
    return Plan((single(request, rows(low, high, limit or MOST_ROWS)),))


def _empty(asking: Asking, group: str) -> Plan:
    limit = None if group == DB else MOST_ROWS
    request = asking.get(_target(PATHS[group], *NOTHING, limit))
    expected = f"status 2xx, {_JSON}, no rows and count 0"
    want = Expectation(content_type=_JSON, rows=0)
    return Plan((Asked((Piece(request),), (want,), as_wanted, expected),))


def all_rows(asked: Asked, seen: Seen) -> Verdict:
    """The judge of a range that holds more rows than may come: as many as may."""
    verdict = as_wanted(asked, seen)
    if verdict != PASSED:
        return verdict
    count, most = json.loads(seen.responses[0].body or b"")["count"], asked.wants[0].rows
    if count == most:
        return PASSED
    return Verdict(Outcome.FAIL, f"{count} rows, expected {most}: the range holds more than these")


def some_rows(asked: Asked, seen: Seen) -> Verdict:
    """The same for a database of the user's own, which may be missing or small: a warning."""
    verdict = all_rows(asked, seen)
    if verdict.outcome is Outcome.FAIL and as_wanted(asked, seen) == PASSED:
        return Verdict(Outcome.WARN, f"{verdict.detail} (is DATABASE_URL set, and filled?)")
    return verdict


def _checks(group: str) -> tuple[Check, ...]:
    path = PATHS[group]
    first = f"prices {LOW} to {HIGH}" + (f", limits {LIMITS[0]} to {LIMITS[-1]}" * (group == ASYNC))
    return (
        Check(group, first, path, partial(_full, group=group)),
        Check(group, "any other range", path, partial(_drawn, group=group)),
        Check(group, "an empty range gives count 0", path, partial(_empty, group=group)),
    )


CHECKS = (*_checks(DB), *_checks(ASYNC))
