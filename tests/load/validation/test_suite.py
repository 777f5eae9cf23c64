"""All checks: their names, what they send, and which of them belong to a scenario."""

from __future__ import annotations

import random
import re

import pytest

from diagnose.load.validation.baseline import FRAGMENT_S
from diagnose.load.validation.check import Asking, Check, Plan, Way
from diagnose.load.validation.suite import (
    APRIL,
    GROUPS_OF,
    MARCH,
    ROUND_OF,
    contract_checks,
    groups_of,
)
from diagnose.model.scenario import RequestTemplate
from diagnose.scenario.catalog import shipped

FILES = shipped()["static"].templates
CHECKS = contract_checks(FILES)
AUTHORITY = "127.0.0.1:8080"
# Their own requests are asked: the contract says nothing of `get`, and describes no crud.
OWN_REQUESTS = ("get", "crud")
UNFRAMED = re.compile(r"random bytes|body is there|bytes announced")


def planned(check: Check, seed: int = 1) -> Plan:
    return check.plan(Asking(random.Random(seed), AUTHORITY))


def by_id(name: str) -> Check:
    (only,) = [check for check in CHECKS if check.id == name]
    return only


def test_ids_are_unique_words() -> None:
    ids = [check.id for check in CHECKS]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9@-]+/[a-z0-9-]+", name) for name in ids)


def test_every_scenario_of_the_benchmark_has_its_groups() -> None:
    groups = {check.group for check in CHECKS}
    for name in shipped():
        belonging = groups_of(name)
        if name in OWN_REQUESTS:
            assert belonging is None
        else:
            assert belonging
            assert set(belonging) <= groups
    assert {group for each in GROUPS_OF.values() for group in each} == groups - {"baseline2"}
    assert groups_of("mine") is None


def test_a_bare_name_and_its_rounds() -> None:
    assert groups_of("json@2026-03") != groups_of("json@2026-04")
    assert groups_of("baseline@2026-03") == groups_of("baseline@2026-04") == ("baseline",)


def test_the_rounds_are_parts_of_the_whole() -> None:
    march, april = (set(contract_checks(FILES, name)) for name in (MARCH, APRIL))
    names = {check.id for check in march} | {check.id for check in april}
    assert names == {check.id for check in CHECKS}
    assert set(ROUND_OF) <= {check.group for check in CHECKS}
    assert "db" not in {check.group for check in april}
    assert "async-db" not in {check.group for check in march}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_what_is_sent(check: Check) -> None:
    plan = planned(check)
    assert plan.asked
    for asked in plan.asked:
        assert asked.in_words()
        assert asked.wants
        data = b"".join(piece.data for piece in asked.pieces)
        if check.way in (Way.HTTP, Way.TLS) and not UNFRAMED.search(check.name):
            head, _, _ = data.partition(b"\r\n\r\n")
            assert b"\r\nHost: 127.0.0.1:8080" in head
            assert b"Content-Type" not in head or "Content-Type" in check.name


@pytest.mark.parametrize(
    "check", [check for check in CHECKS if check.way is Way.HTTP], ids=lambda check: check.id
)
def test_values_are_drawn_anew(check: Check) -> None:
    constant = {
        *("pipelined/answers-ok", "pipelined/16-at-once", "json@2026-03/50-items-with-totals"),
        *("json@2026-03/exact-content-type", "json@2026-03/two-requests-on-one-connection"),
        *("json@2026-04/the-7-sizes-with-totals", "json@2026-04/exact-content-type"),
        *("json-comp/gzip-or-br-with-totals", "compression/gzip-totals-under-500-kb"),
        *("compression/exact-content-type", "compression/no-encoding-where-not-asked-for"),
        *("compression/two-requests-on-one-connection", "db/prices-10-to-50"),
        *("db/an-empty-range-gives-count-0", "async-db/prices-10-to-50-limits-5-to-50"),
        *("async-db/an-empty-range-gives-count-0", "static/20-files-type-not-empty"),
        *("static/the-same-bytes-again-and-with-gzip-or-br", "echo-ws/handshake"),
    }
    first, second = planned(check, 1).asked, planned(check, 2).asked
    assert ([each.pieces for each in first] == [each.pieces for each in second]) == (
        check.id in constant
    )


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("inside-the-request-line", rb"POST /baseline11\?a=\d*", rb".* HTTP/1\.1\r\n.*"),
        ("before-the-headers-end", rb".*\r\nContent-Length: 5\r\n", rb"\r\n\d{5}"),
        ("between-headers-and-body", rb".*\r\n\r\n", rb"\d{5}"),
        ("inside-the-body", rb".*\r\n\r\n\d{2}", rb"\d{3}"),
        ("inside-a-chunk", rb".*\r\n\r\n5\r\n\d{2}", rb"\d{3}\r\n0\r\n\r\n"),
    ],
)
def test_where_requests_are_cut(name: str, before: bytes, after: bytes) -> None:
    (asked,) = planned(by_id(f"baseline/fragmented-{name}")).asked
    first, second = asked.pieces
    assert (first.pause_s, second.pause_s) == (0.0, FRAGMENT_S)
    assert re.fullmatch(before, first.data, re.DOTALL)
    assert re.fullmatch(after, second.data, re.DOTALL)


@pytest.mark.parametrize(
    ("name", "length"),
    [("17-bytes", 17), ("48-random-bytes", 48), ("500-kib", 512_000), ("20-mib", 20_971_520)],
)
def test_uploads_have_the_lengths_of_the_contract(name: str, length: int) -> None:
    (asked,) = planned(by_id(f"upload/{name}")).asked
    head, _, body = asked.pieces[0].data.partition(b"\r\n\r\n")
    assert len(body) == length
    assert b"\r\nContent-Length: %d" % length in head
    assert asked.wants[0].body == str(length)


def test_two_bodies_in_a_row_differ_behind_the_same_target() -> None:
    for seed in range(50):
        first, second = (
            asked.pieces[0].data
            for asked in planned(by_id("baseline/two-different-bodies-in-a-row"), seed).asked
        )
        assert first[:-5] == second[:-5]
        assert first != second
        assert len(first) == len(second)


def test_files_come_from_the_scenario() -> None:
    mine = (RequestTemplate("x", "GET", "/static/mine.css"),)
    (types, *_) = [check for check in contract_checks(mine) if check.group == "static"]
    (asked,) = planned(types).asked
    assert asked.pieces[0].data.startswith(b"GET /static/mine.css ")
