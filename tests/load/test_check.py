"""Right and wrong answers: status, content type, exact body."""

from __future__ import annotations

import pytest

from diagnose.load.check import wrong
from diagnose.load.http1 import Head, Response
from diagnose.model.load import Failure
from diagnose.model.scenario import Expectation


def response(body: bytes | None = b"", status: int = 200, content_type: str = "") -> Response:
    length = len(body or b"")
    return Response(Head(status, length, False, False, content_type, ""), body, length)


STATUS = {
    "200": ((), 200, True),
    "204": ((), 204, True),
    "299": ((), 299, True),
    "199": ((), 199, False),
    "300": ((), 300, False),
    "404": ((), 404, False),
    "500": ((), 500, False),
    "404_wanted": ((404,), 404, True),
    "200_when_404_wanted": ((404,), 200, False),
    "one_of_several": ((400, 405), 405, True),
    "none_of_several": ((400, 405), 200, False),
}


@pytest.mark.parametrize(("expected", "seen", "right"), STATUS.values(), ids=STATUS.keys())
def test_status(expected: tuple[int, ...], seen: int, right: bool) -> None:
    problem = wrong(response(status=seen), Expectation(status=expected), body_too=False)
    assert (problem is None) == right
    if problem is not None:
        assert problem[0] is Failure.WRONG_STATUS
        assert str(seen) in problem[1]
        assert all(str(status) in problem[1] for status in expected)


WANTED_TYPES = ["application/json", "Application/JSON"]
CONTENT_TYPES = {
    "the_same": ("application/json", True),
    "with_a_parameter": ("application/json; charset=utf-8", True),
    "with_parameters_and_no_space": ("application/json;a=b;c=d", True),
    "in_another_case": ("Application/JSON", True),
    "space_before_the_parameter": ("application/json ; charset=utf-8", True),
    "none": ("", False),
    "another": ("text/plain", False),
    "longer": ("application/jsonp", False),
    "shorter": ("application/j", False),
    "as_a_parameter": ("text/plain; x=application/json", False),
}


@pytest.mark.parametrize(("seen", "right"), CONTENT_TYPES.values(), ids=CONTENT_TYPES.keys())
def test_content_type(seen: str, right: bool) -> None:
    for wanted in WANTED_TYPES:
        expect = Expectation(content_type=wanted)
        problem = wrong(response(content_type=seen), expect, body_too=False)
        assert (problem is None) == right
        if problem is not None:
            assert problem[0] is Failure.WRONG_BODY
            assert repr(seen) in problem[1]
            assert repr(wanted) in problem[1]


def test_content_type_is_not_checked_where_none_is_expected() -> None:
    assert wrong(response(content_type="x/y"), Expectation(), body_too=True) is None


BODIES = {
    "the_same": (b"55", True),
    "newline_after": (b"55\n", True),
    "space_around": (b" 55\r\n", True),
    "more": (b"555", False),
    "less": (b"5", False),
    "none": (b"", False),
    "not_kept": (None, False),
    "not_text": (b"\xff\xfe", False),
}


@pytest.mark.parametrize(("body", "right"), BODIES.values(), ids=BODIES.keys())
def test_exact_body(body: bytes | None, right: bool) -> None:
    for wanted in ("55", "55\n"):
        expect = Expectation(body=wanted)
        problem = wrong(response(body), expect, body_too=True)
        assert (problem is None) == right
        if problem is not None:
            assert problem[0] is Failure.WRONG_BODY
            assert "expected b'55'" in problem[1]
        assert wrong(response(body), expect, body_too=False) is None


def test_empty_body_expected() -> None:
    assert wrong(response(b""), Expectation(body=""), body_too=True) is None
    assert wrong(response(b"x"), Expectation(body=""), body_too=True) is not None


def test_a_long_wrong_body_is_shown_shortened() -> None:
    problem = wrong(response(b"x" * 10_000), Expectation(body="55"), body_too=True)
    assert problem is not None
    assert len(problem[1]) < 200


def test_a_long_wrong_content_type_is_shown_shortened() -> None:
    expect = Expectation(content_type="text/plain")
    problem = wrong(response(content_type="x" * 10_000), expect, body_too=False)
    assert problem is not None
    assert problem[1] == "Content-Type '" + "x" * (200 - len("Content-Type '")) + "..."


def test_status_comes_before_content_type_before_body() -> None:
    expect = Expectation(body="1", content_type="a/b")
    first = wrong(response(b"2", 500, "c/d"), expect, body_too=True)
    second = wrong(response(b"2", 200, "c/d"), expect, body_too=True)
    third = wrong(response(b"2", 200, "a/b"), expect, body_too=True)
    assert first is not None
    assert first[0] is Failure.WRONG_STATUS
    assert second is not None
    assert "Content-Type" in second[1]
    assert third is not None
    assert "body" in third[1]
