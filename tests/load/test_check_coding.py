"""Right and wrong answers in a content coding, and of a limited size."""

from __future__ import annotations

import gzip
import json
import zlib

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.load import check
from diagnose.load.check import compares_body, looks_into_body, wrong
from diagnose.load.http1 import Head, Response
from diagnose.model.load import Failure
from diagnose.model.scenario import Expectation

ITEM = {"id": 1, "price": 2.5, "quantity": 4, "total": 10.0}
DOCUMENT = json.dumps({"items": [ITEM] * 3, "count": 3}).encode()
ENCODED = {
    "gzip": gzip.compress(DOCUMENT, mtime=0),
    "deflate": zlib.compress(DOCUMENT),
    "br": brotli.compress(DOCUMENT),
}
ASKED = Expectation(items=3, encoding=("gzip", "deflate", "br"))
every_coding = pytest.mark.parametrize("coding", ENCODED)


def response(body: bytes | None, coding: str = "", length: int | None = None) -> Response:
    size = len(body or b"") if length is None else length
    return Response(Head(200, size, False, False, "", coding), body, size)


def said(body: bytes | None, coding: str, expect: Expectation = ASKED) -> str:
    """What is wrong with the answer; '' when it is right."""
    problem = wrong(response(body, coding), expect, body_too=True)
    if problem is None:
        return ""
    assert problem[0] is Failure.WRONG_BODY
    return problem[1]


# -- codings -------------------------------------------------------------------------------------


@every_coding
def test_right(coding: str) -> None:
    assert said(ENCODED[coding], coding) == ""
    assert said(ENCODED[coding], coding, Expectation(items=3)) == ""
    assert said(ENCODED[coding], coding, Expectation(encoding=(coding,))) == ""


def test_the_old_name_of_gzip_is_decoded() -> None:
    """Source: RFC 9110, 8.4.1.3: x-gzip is gzip."""
    assert said(ENCODED["gzip"], "x-gzip", Expectation(items=3)) == ""


def test_the_items_inside_are_looked_at() -> None:
    body = gzip.compress(DOCUMENT.replace(b"10.0", b"11.0"))
    assert said(body, "gzip") == "item 1: total 11.0, expected 10.00"


@every_coding
def test_another_coding_than_asked_for(coding: str) -> None:
    others = tuple(name for name in ENCODED if name != coding)
    text = said(ENCODED[coding], coding, Expectation(items=3, encoding=others))
    assert text == f"Content-Encoding {coding!r}, expected {' or '.join(others)}"


def test_none_where_one_was_asked_for() -> None:
    assert said(DOCUMENT, "") == "Content-Encoding '', expected gzip or deflate or br"


@every_coding
def test_one_where_none_was_asked_for(coding: str) -> None:
    text = said(ENCODED[coding], coding, Expectation(items=3, encoding=()))
    assert text == f"Content-Encoding {coding!r}, expected none"
    assert said(DOCUMENT, "", Expectation(items=3, encoding=())) == ""


def test_the_header_is_checked_without_the_body() -> None:
    expect = Expectation(encoding=("gzip",))
    assert wrong(response(b"no", "gzip"), expect, body_too=False) is None
    assert wrong(response(b"no", "br"), expect, body_too=False) is not None


def test_a_coding_that_is_not_known() -> None:
    assert said(b"x", "zstd", Expectation(items=3)) == "Content-Encoding 'zstd' cannot be decoded"
    assert "cannot be decoded" in said(b"x", "gzip, br", Expectation(items=3))


@every_coding
def test_not_the_coding_that_is_told(coding: str) -> None:
    assert said(DOCUMENT, coding).startswith((f"body is not {coding}", "the compressed body"))


@every_coding
def test_truncated_anywhere(coding: str) -> None:
    whole = ENCODED[coding]
    for cut in range(len(whole)):
        assert said(whole[:cut], coding), cut


@every_coding
@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_changed_body_never_raises(coding: str, data: st.DataObject) -> None:
    body = bytearray(ENCODED[coding])
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    text = said(bytes(body), coding)
    assert text == "" or len(text) <= 203


@every_coding
def test_a_body_that_decodes_to_too_much(coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few kilobytes can decode to all memory that there is."""
    monkeypatch.setattr(check, "MAX_DECODED", 100_000)
    bomb = b"0" * 10_000_000
    body = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress}[coding](bomb)
    assert said(body, coding) == "body decodes to more than 100000 bytes"
    fits = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress}[coding]
    assert said(fits(DOCUMENT.ljust(100_000)), coding) == ""


@every_coding
def test_a_body_that_was_not_kept(coding: str) -> None:
    problem = wrong(response(None, coding, 5_000_000), ASKED, body_too=True)
    assert problem == (Failure.WRONG_BODY, "5000000 bytes of body: too long to keep")


@every_coding
def test_an_exact_body_in_a_coding(coding: str) -> None:
    expect = Expectation(body=DOCUMENT.decode(), encoding=(coding,))
    assert said(ENCODED[coding], coding, expect) == ""
    assert "expected" in said(ENCODED[coding], coding, Expectation(body="x", encoding=(coding,)))


# -- size, and always the same -------------------------------------------------------------------


@pytest.mark.parametrize(("length", "right"), [(0, True), (100, True), (101, False)])
def test_bytes_on_the_wire(length: int, right: bool) -> None:
    problem = wrong(response(b"x" * length), Expectation(max_wire_bytes=100), body_too=False)
    assert (problem is None) == right
    if problem is not None:
        assert problem == (Failure.WRONG_BODY, "101 bytes of body, expected at most 100")


def test_bytes_on_the_wire_are_those_of_the_coding() -> None:
    expect = Expectation(items=3, encoding=("gzip",), max_wire_bytes=len(ENCODED["gzip"]))
    assert len(DOCUMENT) > len(ENCODED["gzip"])
    assert said(ENCODED["gzip"], "gzip", expect) == ""


def test_bytes_on_the_wire_of_a_body_that_was_not_kept() -> None:
    expect = Expectation(max_wire_bytes=100)
    assert wrong(response(None, "", 5_000_000), expect, body_too=False) is not None


def test_the_same_body_each_time() -> None:
    expect = Expectation(same=True)
    assert wrong(response(b"abc"), expect, True, first=None) is None
    assert wrong(response(b"abc"), expect, True, first=b"abc") is None
    assert wrong(response(b"abd"), expect, False, first=b"abc") is None
    problem = wrong(response(b"abcd"), expect, True, first=b"abc")
    assert problem == (Failure.WRONG_BODY, "body of 4 bytes differs from the first one of 3")


def test_the_same_is_not_asked_where_it_is_not_expected() -> None:
    assert wrong(response(b"abd"), Expectation(), True, first=b"abc") is None


# -- the sum, and what is told beside the expectation --------------------------------------------


def test_an_expected_body_of_its_own_wins() -> None:
    for expect in (Expectation(sum=True), Expectation(body="1")):
        assert wrong(response(b"55\n"), expect, True, b"55") is None
        problem = wrong(response(b"54"), expect, True, b"55")
        assert problem == (Failure.WRONG_BODY, "body b'54', expected b'55'")


COSTS = {
    "nothing": (Expectation(), False, False),
    "status": (Expectation(status=(200,), content_type="a/b", max_wire_bytes=5), False, False),
    "body": (Expectation(body=""), True, False),
    "sum": (Expectation(sum=True), True, False),
    "same": (Expectation(same=True), True, False),
    "no_coding": (Expectation(encoding=()), False, False),
    "items": (Expectation(items=0), True, True),
    "min_items": (Expectation(min_items=0), True, True),
    "rows": (Expectation(rows=0), True, True),
    "coding": (Expectation(encoding=("br",)), True, True),
}


@pytest.mark.parametrize(("expect", "compares", "looks"), COSTS.values(), ids=COSTS.keys())
def test_what_a_check_costs(expect: Expectation, compares: bool, looks: bool) -> None:
    """What must be parsed is checked for some answers only, the rest for all."""
    assert (compares_body(expect), looks_into_body(expect)) == (compares, looks)
