"""pool_exhausted: a few connections, always waiting, and a queue for them."""

from __future__ import annotations

import pytest

from diagnose.analysis.rules.pool_exhausted import check
from diagnose.model.finding import Verdict
from diagnose.model.samples import PeerSample
from tests.analysis.downstreams import asking
from tests.builders import evidence_of

# Four connections, 10 ms a query: 400 a second.
POOL = PeerSample("10.0.0.7:5432", 4, 4, 0)


def test_a_full_pool_is_found() -> None:
    answer = check(asking(POOL, unloaded_s=0.011))
    assert answer.verdict is Verdict.FOUND
    assert "64 requests shared 4 connections to 10.0.0.7:5432" in answer.claim
    seen = evidence_of(answer)
    assert seen["requests_per_connection"] == pytest.approx(16, rel=0.05)
    assert seen["requests_at_once"] == pytest.approx(4.4, rel=0.01)


@pytest.mark.parametrize(
    ("connections", "waiting", "verdict"),
    [
        pytest.param(10, 3, Verdict.CLEAR, id="mostly at rest"),
        pytest.param(10, 6, Verdict.UNKNOWN, id="between"),
        pytest.param(20, 14, Verdict.UNKNOWN, id="just under the limit"),
        pytest.param(20, 16, Verdict.FOUND, id="just over the limit"),
        pytest.param(64, 64, Verdict.CLEAR, id="one for each request"),
        pytest.param(30, 30, Verdict.UNKNOWN, id="two requests for each"),
    ],
)
def test_how_busy_and_how_long_the_queue(connections: int, waiting: int, verdict: Verdict) -> None:
    peer = PeerSample("db:1", connections, waiting, 0)
    assert check(asking(peer, rps=connections * 50)).verdict is verdict


def test_each_worker_may_have_a_pool_of_its_own() -> None:
    """Two workers with two connections each, to a database of their own."""
    peers = (
        PeerSample("db:1", 2, 2, 0),
        PeerSample("db:2", 2, 2, 0),
        PeerSample("cache:1", 9, 0, 0),
    )
    answer = check(asking(*peers, unloaded_s=0.011))
    assert answer.verdict is Verdict.FOUND
    assert "64 requests shared 4 connections to db:1, db:2" in answer.claim


@pytest.mark.parametrize(
    ("tick_ms", "verdict"),
    [
        pytest.param(4, Verdict.FOUND, id="an answer takes longer than a tick"),
        pytest.param(20, Verdict.UNKNOWN, id="it may have come within the tick"),
        pytest.param(0, Verdict.UNKNOWN, id="the tick is not known"),
    ],
)
def test_asked_again_within_a_tick(tick_ms: int, verdict: Verdict) -> None:
    """A full pool asks again as soon as it is answered: the times of both are the same."""
    assert check(asking(PeerSample("db:1", 4, 0, 4, tick_ms), unloaded_s=0.011)).verdict is verdict


def test_a_pool_that_grows_is_not_full() -> None:
    answer = check(asking(POOL, later=(PeerSample("10.0.0.7:5432", 12, 12, 0),), unloaded_s=0.011))
    assert answer.verdict is Verdict.UNKNOWN


def test_more_at_once_than_the_pool_lets_through_is_another_matter() -> None:
    answer = check(asking(POOL, unloaded_s=0.05))
    assert answer.verdict is Verdict.UNKNOWN
    assert "twice the size of the pool" in answer.claim


def test_an_unloaded_latency_that_is_too_short_does_not_prove_it() -> None:
    assert check(asking(POOL, unloaded_s=0.0005)).verdict is Verdict.UNKNOWN


def test_blocked_workers_leave_requests_unread() -> None:
    answer = check(asking(POOL, unread=60, unloaded_s=0.011))
    assert answer.verdict is Verdict.CLEAR


def test_busy_cores_are_clear() -> None:
    assert check(asking(POOL, busy=0.98)).verdict is Verdict.CLEAR


def test_a_unix_socket_leaves_it_open() -> None:
    answer = check(asking(PeerSample("unix:/run/db", 4, -1, -1)))
    assert answer.verdict is Verdict.UNKNOWN
    assert "unix socket" in answer.claim
    assert check(asking(PeerSample("unix:/run/db", 64, -1, -1))).verdict is Verdict.CLEAR


def test_no_connections_and_none_looked_at() -> None:
    assert check(asking()).verdict is Verdict.CLEAR
    assert check(asking(looked=False)).verdict is Verdict.UNKNOWN
