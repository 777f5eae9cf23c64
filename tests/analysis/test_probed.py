"""What rules read of the probes before the load."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diagnose.analysis.probed import (
    MOST_BODY,
    escaped,
    exchange,
    named,
    names_of,
    not_asked,
    posts,
    share,
    shortened,
)
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import Answer, Expectation, Protocol, RequestTemplate
from tests.builders import GET, UPLOAD, make_run, make_scenario

POST = RequestTemplate("post", "POST", "/", body="20")
PLAIN, SHORT = ProbeCheck("plain", "post", "fail", ""), ProbeCheck("short_body", "post", "pass", "")
ALL = make_run(scenario=make_scenario(templates=(GET, GET, POST)))


def test_the_first_name_that_there_is_counts() -> None:
    run = make_run(probes=(PLAIN, SHORT))
    assert named(run, "short_body", "plain") == {"post": SHORT}
    assert named(run, "plain", "short_body") == {"post": PLAIN}
    assert named(make_run(probes=(PLAIN,)), "short_body", "plain") == {"post": PLAIN}
    assert named(run, "other") == {}


def test_of_one_name_the_last_counts() -> None:
    again = replace(PLAIN, outcome="pass")
    assert named(make_run(probes=(PLAIN, again)), "plain") == {"post": again}


def test_an_exchange_is_on_one_line_each() -> None:
    check = replace(PLAIN, request="GET / HTTP/1.1\r\n\r\n", response="")
    assert [(row.metric, row.value) for row in exchange(check)] == [
        ("request", r"GET / HTTP/1.1\r\n\r\n"),
        ("response", "(none)"),
    ]
    assert [row.metric for row in exchange(check, "chunked")] == [
        "chunked_request",
        "chunked_response",
    ]


@pytest.mark.parametrize(
    ("text", "shown"), [("plain", "plain"), ("\x00\x1b[31m", r"\x00\x1b[31m"), ("é\\", r"\xe9\\")]
)
def test_what_a_server_sent_cannot_reach_the_terminal(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_templates_with_a_body() -> None:
    any_answer = replace(POST, name="any", expect=Expectation(answer=Answer.ANY))
    raw = replace(POST, name="raw", raw=b"POST / HTTP/1.1\r\n\r\n")
    scenario = make_scenario(templates=(GET, POST, POST, any_answer, raw, UPLOAD))
    assert posts(make_run(scenario=scenario)) == [POST, UPLOAD]


def test_shares_of_the_rotation() -> None:
    assert share(["get"], ALL) == pytest.approx(2 / 3)
    assert share([], ALL) == 0.0


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["get"], "get"),
        (["get", "post"], "all 2 kinds of requests"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
    ],
)
def test_templates_in_words(names: list[str], said: str) -> None:
    assert names_of(names, ALL) == said


def test_one_kind_of_request_has_its_name() -> None:
    assert names_of(["get"], make_run()) == "get"


def test_why_nothing_was_asked() -> None:
    assert not_asked(make_run()) == ""
    assert "over h2" in not_asked(make_run(scenario=make_scenario(protocol=Protocol.H2)))
    assert "before the probes" in not_asked(make_run(probes=()))
    assert "no request with a body" in not_asked(make_run(), bodies=True)
    assert not_asked(ALL, bodies=True) == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", id="no body"),
        pytest.param("a\r\n\r\n" + "b" * MOST_BODY, "a\r\n\r\n" + "b" * MOST_BODY, id="all"),
        pytest.param(
            "a\r\n\r\n" + "b" * (MOST_BODY + 1200),
            "a\r\n\r\n" + "b" * MOST_BODY + " ... 1,200 more",
            id="long",
        ),
        pytest.param("c" * (MOST_BODY + 1), "c" * MOST_BODY + " ... 1 more", id="no head"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_of_a_body_the_beginning_is_shown(text: str, shown: str) -> None:
    assert shortened(text) == shown
