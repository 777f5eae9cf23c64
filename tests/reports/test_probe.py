"""The lines, the exact exchanges and the verdict of a probe."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnose.model.validation import CheckResult, Event, Excerpt, Exchange, Outcome
from diagnose.reports import probe as report
from diagnose.reports.probe import document, escaped, line, never_answered, shown_exchange, verdict
from tests.reports.screens import ESCAPES, MARKUP

REQUEST = b"GET /pipeline HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"
PASSED = CheckResult("pipelined", "answers ok", "/pipeline", Outcome.PASS, elapsed_s=0.0012)


def excerpt(data: bytes, start: int = 1024, end: int = 256) -> Excerpt:
    return Excerpt(data[:start], data[start:][-end:], len(data))


def events(*parts: tuple[float, bool, bytes]) -> tuple[Event, ...]:
    return tuple(Event(at_s, sent, excerpt(data)) for at_s, sent, data in parts)


def failed(*parts: tuple[float, bool, bytes], status: int = 200) -> CheckResult:
    exchange = Exchange(*(8080, Outcome.FAIL, "body b'no'", "body 'ok'"), events(*parts), (status,))
    return replace(PASSED, outcome=Outcome.FAIL, detail="body b'no'", exchanges=(exchange,))


SIMPLE = failed((0.0, True, REQUEST), (0.001, False, ANSWER))


# -- a line --------------------------------------------------------------------------------------


def test_a_check_that_passed_is_one_line() -> None:
    assert line(PASSED).plain.split() == ["pass", "pipelined", "answers", "ok", "1.20", "ms"]
    assert "\n" not in line(replace(PASSED, detail="the connection was closed")).plain


@pytest.mark.parametrize("outcome", [Outcome.WARN, Outcome.FAIL, Outcome.ERROR])
def test_what_is_wrong_stands_below(outcome: Outcome) -> None:
    text = line(replace(PASSED, outcome=outcome, detail="too late")).plain
    first, second = text.splitlines()
    assert first.startswith(outcome.value)
    assert second.strip() == "too late"
    assert line(replace(PASSED, outcome=outcome, detail="x"), known=True).plain.endswith(
        "x (as above)"
    )


def test_why_it_was_skipped_stands_in_the_line() -> None:
    text = line(replace(PASSED, outcome=Outcome.SKIPPED, detail="no port", elapsed_s=0)).plain
    assert text.startswith("skipped")
    assert text.endswith("no port")
    assert "0.00 s" not in text


def test_a_server_writes_nothing_on_the_terminal() -> None:
    text = line(replace(PASSED, outcome=Outcome.FAIL, detail=f"body {ESCAPES}{MARKUP}")).plain
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert MARKUP in text


# -- an exchange ---------------------------------------------------------------------------------


def test_an_exchange_is_shown_as_it_was() -> None:
    assert shown_exchange(SIMPLE).plain.splitlines() == [
        "         > GET /pipeline HTTP/1.1\\r\\n",
        "         > Host: x\\r\\n",
        "         > \\r\\n",
        "         < HTTP/1.1 200 OK\\r\\n",
        "         < Content-Length: 2\\r\\n",
        "         < \\r\\n",
        "         < no",
        "         expected  body 'ok'",
    ]


def test_a_pause_is_told() -> None:
    text = shown_exchange(failed((0.0, True, b"GET /"), (0.0301, True, b" HTTP/1.1\r\n"))).plain
    assert text.splitlines()[:3] == [
        "         > GET /",
        "           (30.10 ms later)",
        "         >  HTTP/1.1\\r\\n",
    ]


def test_silence_is_told() -> None:
    assert "         < nothing\n" in shown_exchange(failed((0.0, True, REQUEST))).plain
    assert "< nothing" in shown_exchange(failed()).plain


def test_the_worst_of_several_is_shown_and_the_rest_counted() -> None:
    broken = replace(SIMPLE.exchanges[0], outcome=Outcome.ERROR, events=())
    right = replace(SIMPLE.exchanges[0], outcome=Outcome.PASS)
    text = shown_exchange(replace(SIMPLE, exchanges=(right, SIMPLE.exchanges[0], broken))).plain
    assert "< nothing" in text
    assert text.endswith("(1 more like it: --json shows all)")


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"plain", ["plain"]),
        (b"two\nlines", ["two\\n", "lines"]),
        (b"\x00\xff\r\\", ["\\x00\\xff\\r\\\\"]),
        (b"", []),
    ],
)
def test_bodies(body: bytes, shown: list[str]) -> None:
    text = shown_exchange(failed((0.0, True, REQUEST + body))).plain
    head = ["GET /pipeline HTTP/1.1\\r\\n", "Host: x\\r\\n", "\\r\\n"]
    assert [each[11:] for each in text.splitlines() if each[9:10] == ">"] == [*head, *shown]


@pytest.mark.parametrize(
    ("body", "size"),
    [(b"x" * 2000, 2000), (bytes(range(256)) * 40, 10240), (b"long line " * 9, 90)],
)
def test_of_a_long_body_the_middle_is_told_by_its_size(body: bytes, size: int) -> None:
    text = shown_exchange(failed((0.0, True, REQUEST + body))).plain
    shown = [each[11:] for each in text.splitlines() if each[9:10] == ">"][3:]
    if size == 90:
        assert shown == [escaped(body)]
        return
    first, middle, last = shown
    assert escaped(body).startswith(first)
    assert escaped(body).endswith(last)
    raw = {text: len(text.encode().decode("unicode_escape")) for text in (first, last)}
    assert middle == f"... {size - sum(raw.values()):,} bytes ..."


@given(st.binary(max_size=3000), st.integers(0, 2000), st.integers(0, 300))
def test_any_bytes_are_shown_as_printable_ascii(data: bytes, start: int, end: int) -> None:
    part = excerpt(data, start, end)
    shown = failed((0.0, False, b""))
    exchange = replace(shown.exchanges[0], events=(Event(0.0, False, part),))
    text = shown_exchange(replace(shown, exchanges=(exchange,))).plain
    assert all(32 <= ord(char) < 127 or char == "\n" for char in text)
    assert len(text.splitlines()) <= report.MOST_LINES + 8


@given(st.binary(max_size=200))
def test_escapes_can_be_read_back(data: bytes) -> None:
    assert escaped(data).encode("ascii").decode("unicode_escape").encode("latin-1") == data


# -- the verdict ---------------------------------------------------------------------------------


def test_a_verdict_without_failures() -> None:
    results = [PASSED, PASSED, replace(PASSED, outcome=Outcome.WARN)]
    assert verdict(results, 3).plain == "VERDICT  2 passed, 1 warned"
    assert "green" in str(verdict(results, 3).style)
    assert verdict(results, 5).plain == "VERDICT  2 passed, 1 warned, 2 not made"
    assert "green" not in str(verdict(results, 5).style)


def test_a_verdict_names_where_it_failed() -> None:
    skipped = replace(PASSED, group="json-tls", outcome=Outcome.SKIPPED)
    results = [SIMPLE, SIMPLE, replace(SIMPLE, group="upload", outcome=Outcome.ERROR), skipped]
    assert verdict(results, 4).plain == "VERDICT  3 failed (pipelined 2, upload 1); 1 skipped"
    assert verdict(results[:3], 3).plain == "VERDICT  3 failed (pipelined 2, upload 1)"


def test_endpoints_that_never_answered() -> None:
    missing = replace(failed(status=404), endpoint="/db")
    refused = replace(failed(status=500), endpoint="/json")
    skipped = replace(PASSED, endpoint="/ws", outcome=Outcome.SKIPPED)
    nowhere = replace(failed(status=200), endpoint="")
    results = [SIMPLE, missing, refused, skipped, nowhere, replace(missing, endpoint="/pipeline")]
    assert never_answered(results) == ["/db", "/json"]
    assert verdict(results, 6).plain.endswith("\n         never answered with success: /db, /json")
    upgraded = replace(failed(status=101), endpoint="/ws")
    assert never_answered([upgraded]) == []


# -- JSON ----------------------------------------------------------------------------------------


def test_the_document() -> None:
    body = bytes(range(256)) * 10
    result = failed((0.0, True, REQUEST), (0.5, False, body))
    parsed = json.loads(document([PASSED, result], 3, "interrupted", {"HTTP/1.1": 8080}))
    assert parsed["schema"] == 1
    assert (parsed["state"], parsed["planned"]) == ("interrupted", 3)
    assert parsed["ports"] == {"HTTP/1.1": 8080}
    assert parsed["counts"] == {"pass": 1, "warn": 0, "fail": 1, "error": 0, "skipped": 0}
    assert [check["id"] for check in parsed["checks"]] == ["pipelined/answers-ok"] * 2
    (exchange,) = parsed["checks"][1]["exchanges"]
    assert exchange["expected"] == "body 'ok'"
    sent, received = exchange["events"]
    assert (sent["sent"], sent["start"].encode("latin-1"), sent["size"]) == (
        *(True, REQUEST, len(REQUEST)),
    )
    assert (received["at_s"], received["size"]) == (0.5, 2560)
    assert received["start"].encode("latin-1") == body[:1024]
    assert received["end"].encode("latin-1") == body[-256:]
