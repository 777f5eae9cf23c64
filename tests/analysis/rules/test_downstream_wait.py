"""downstream_wait: connections to others that wait for an answer."""

from __future__ import annotations

import pytest

from diagnose.analysis.rules.downstream_wait import check
from diagnose.model.finding import Verdict
from diagnose.model.samples import PeerSample
from tests.analysis.downstreams import asking
from tests.builders import evidence_of


@pytest.mark.parametrize(
    ("waiting", "verdict"),
    [
        pytest.param(0, Verdict.CLEAR, id="none"),
        pytest.param(9, Verdict.CLEAR, id="just under the clear limit"),
        pytest.param(10, Verdict.UNKNOWN, id="just over the clear limit"),
        pytest.param(31, Verdict.UNKNOWN, id="just under half"),
        pytest.param(32, Verdict.FOUND, id="half"),
        pytest.param(64, Verdict.FOUND, id="all"),
    ],
)
def test_the_waiting_ones_decide(waiting: int, verdict: Verdict) -> None:
    answer = check(asking(PeerSample("10.0.0.7:5432", 64, waiting, 0)))
    assert answer.verdict is verdict
    assert evidence_of(answer)["waiting_connections"] == waiting


def test_the_address_is_named() -> None:
    answer = check(asking(PeerSample("10.0.0.7:5432", 64, 60, 0), PeerSample("cache:1", 64, 2, 0)))
    assert "to 10.0.0.7:5432" in answer.claim


def test_requests_that_nobody_read_are_not_served() -> None:
    """Two workers that block: two wait, and that is all that is being served."""
    answer = check(asking(PeerSample("10.0.0.7:5432", 2, 2, 0), unread=62))
    assert answer.verdict is Verdict.FOUND
    assert evidence_of(answer)["requests_taken"] == pytest.approx(2, abs=0.5)


def test_what_cannot_be_told_apart_counts_half() -> None:
    assert check(asking(PeerSample("db:1", 64, 0, 64))).verdict is Verdict.FOUND
    assert check(asking(PeerSample("db:1", 64, 0, 60))).verdict is Verdict.UNKNOWN


def test_busy_cores_are_clear_whatever_waits() -> None:
    answer = check(asking(PeerSample("db:1", 64, 64, 0), busy=0.98))
    assert answer.verdict is Verdict.CLEAR


def test_no_connections_to_others_are_clear() -> None:
    answer = check(asking())
    assert answer.verdict is Verdict.CLEAR
    assert "no connections" in answer.claim


def test_of_a_unix_socket_nothing_is_told() -> None:
    answer = check(asking(PeerSample("unix:/run/db", 64, -1, -1)))
    assert answer.verdict is Verdict.UNKNOWN
    assert "unix" in answer.claim


def test_unknown_where_they_were_not_looked_at() -> None:
    for run in (asking(looked=False), asking(PeerSample("db:1", 64, 64, 0), every=200)):
        answer = check(run)
        assert answer.verdict is Verdict.UNKNOWN
        assert "not looked at" in answer.claim
