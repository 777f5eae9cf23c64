"""Scenario files: every key read, every mistake named."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.errors import UsageError
from diagnose.load.requests import prepare
from diagnose.model.scenario import Expectation, RequestTemplate, Scenario
from diagnose.scenario.toml_file import parse_scenario

TOP = 'title = "t"\nconnections = [1]\n'
REQUEST = '[[request]]\nname = "a"\ntarget = "/"\n'


def refused(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_scenario(text, "mine")
    message = str(caught.value)
    assert "'mine'" in message
    return message


def test_the_smallest_scenario() -> None:
    assert parse_scenario(TOP + REQUEST, "mine") == Scenario(
        "mine", "t", "", (RequestTemplate("a", "GET", "/"),), (1,)
    )


def test_every_key() -> None:
    text = """
        title = "all of it"
        round = "2026-04"
        connections = [64, 512]
        requests_per_connection = 100
        warmup_s = 0
        duration_s = 2
        timeout_s = 0.5

        [[request]]
        name = "put"
        method = "PUT"
        target = "/x?y=1"
        headers = { Accept = "a/b", X-Empty = "" }
        body = "body"
        chunked = true
        [request.expect]
        status = [201, 204]
        body = "length $LENGTH of $LENGTH"
        content_type = "text/plain"
        items = 3
        multiplier = 7
        decimals = 2

        [[request]]
        name = "upload"
        method = "POST"
        target = "/upload"
        body_length = 20971520
        expect = { body = "$LENGTH" }
    """
    put = RequestTemplate(
        "put",
        "PUT",
        "/x?y=1",
        (("Accept", "a/b"), ("X-Empty", "")),
        "body",
        0,
        True,
        Expectation(
            status=(201, 204),
            body="length 4 of 4",
            content_type="text/plain",
            items=3,
            multiplier=7,
            decimals=2,
        ),
    )
    upload = RequestTemplate(
        "upload", "POST", "/upload", body_length=20971520, expect=Expectation(body="20971520")
    )
    assert parse_scenario(text, "all") == Scenario(
        "all", "all of it", "2026-04", (put, upload), (64, 512), 1, 100, 0.0, 2.0, 0.5
    )


def test_pipeline() -> None:
    assert parse_scenario(f"{TOP}pipeline = 4\n{REQUEST}", "mine").pipeline == 4


@pytest.mark.parametrize(
    ("body", "length"), [('body = ""', 0), ('body = "é€"', 5), ("body_length = 7", 7), ("", 0)]
)
def test_length_stands_for_the_bytes_of_the_body(body: str, length: int) -> None:
    text = f'{TOP}{REQUEST}{body}\nexpect = {{ body = "$LENGTH" }}\n'
    assert parse_scenario(text, "mine").templates[0].expect.body == str(length)


WRONG = {
    "not_toml": ("title = \n", "", "line 1"),
    "not_toml_at_all": ("GET / HTTP/1.1", "", "line 1"),
    "key_twice": ('title = "t"\ntitle = "u"\n', REQUEST, "line 2"),
    "no_title": ("connections = [1]\n", REQUEST, "`title`"),
    "no_connections": ('title = "t"\n', REQUEST, "`connections`"),
    "no_request": (TOP, "", "`request`"),
    "title_number": ("title = 1\nconnections = [1]\n", REQUEST, "$.title"),
    "connections_number": ('title = "t"\nconnections = 1\n', REQUEST, "$.connections"),
    "connections_text": ('title = "t"\nconnections = ["1"]\n', REQUEST, "$.connections[0]"),
    "connections_fraction": ('title = "t"\nconnections = [2, 1.5]\n', REQUEST, "$.connections[1]"),
    "connections_empty": ('title = "t"\nconnections = []\n', REQUEST, "connections must name"),
    "connections_zero": (
        'title = "t"\nconnections = [1, 0]\n',
        REQUEST,
        "connections must be 1 to",
    ),
    "connections_many": ('title = "t"\nconnections = [60001]\n', REQUEST, "1 to 60000"),
    "name_empty": (TOP, '[[request]]\nname = " "\ntarget = "/"\n', "printable"),
    "name_lines": (TOP, '[[request]]\nname = "a\\nb"\ntarget = "/"\n', "printable"),
    "method_connect": (TOP, REQUEST + 'method = "CONNECT"\n', "CONNECT is not supported"),
    "status_strange": (TOP, REQUEST + "expect = { status = [999] }\n", "expect.status 999"),
    "items_below": (TOP, REQUEST + "expect = { min_items = -1 }\n", "expect.min_items"),
    "price_turned": (
        TOP,
        REQUEST + "expect = { rows = 1, price = [9, 1] }\n",
        "lowest and highest",
    ),
    "any_status": (TOP, REQUEST + 'expect = { answer = "any", status = [200] }\n', "leave expect"),
    "connections_negative": ('title = "t"\nconnections = [-1]\n', REQUEST, "connections must be"),
    "request_empty": (TOP + "request = []\n", "", "[[request]]"),
    "request_text": (TOP + 'request = "/"\n', "", "$.request"),
    "request_single_table": (TOP, REQUEST.replace("[[request]]", "[request]"), "$.request"),
    "unknown_key": (TOP + "conections = [2]\n", REQUEST, "`conections`"),
    "round_number": (TOP + "round = 2026\n", REQUEST, "$.round"),
    "round_date": (TOP + "round = 2026-03-01\n", REQUEST, "$.round"),
    "pipeline_zero": (TOP + "pipeline = 0\n", REQUEST, "pipeline"),
    "pipeline_bool": (TOP + "pipeline = true\n", REQUEST, "$.pipeline"),
    "pipeline_fraction": (TOP + "pipeline = 1.0\n", REQUEST, "$.pipeline"),
    "requests_negative": (TOP + "requests_per_connection = -1\n", REQUEST, "requests_per_conn"),
    "duration_zero": (TOP + "duration_s = 0\n", REQUEST, "duration_s"),
    "duration_negative": (TOP + "duration_s = -0.1\n", REQUEST, "duration_s"),
    "duration_text": (TOP + 'duration_s = "5s"\n', REQUEST, "$.duration_s"),
    "timeout_zero": (TOP + "timeout_s = 0.0\n", REQUEST, "timeout_s"),
    "warmup_negative": (TOP + "warmup_s = -1\n", REQUEST, "warmup_s"),
    "duration_minus_infinite": (TOP + "duration_s = -inf\n", REQUEST, "duration_s"),
    "duration_infinite": (TOP + "duration_s = inf\n", REQUEST, "duration_s"),
    "duration_nan": (TOP + "duration_s = nan\n", REQUEST, "duration_s"),
    "timeout_infinite": (TOP + "timeout_s = inf\n", REQUEST, "timeout_s"),
    "timeout_nan": (TOP + "timeout_s = nan\n", REQUEST, "timeout_s"),
    "warmup_infinite": (TOP + "warmup_s = inf\n", REQUEST, "warmup_s"),
    "warmup_nan": (TOP + "warmup_s = nan\n", REQUEST, "warmup_s"),
    "number_of_5000_digits": (f"{TOP}pipeline = 1{'0' * 5000}\n", REQUEST, "5001 digits"),
    "deeply_nested": (f"{TOP}x = {'[' * 5000}{']' * 5000}\n", REQUEST, "recursion"),
    "name_twice": (TOP, REQUEST + REQUEST, "two requests have the same name"),
    "no_name": (TOP, '[[request]]\ntarget = "/"\n', "`name`"),
    "no_target": (TOP, '[[request]]\nname = "a"\n', "'a': give one of target, raw, random_bytes"),
    "second_without_target": (
        TOP,
        REQUEST + '[[request]]\nname = "b"\n',
        "'b': give one of target",
    ),
    "target_relative": (TOP, REQUEST.replace('"/"', '"x"'), "target 'x'"),
    "target_empty": (TOP, REQUEST.replace('"/"', '""'), "give one of target, raw, random_bytes"),
    "target_url": (TOP, REQUEST.replace('"/"', '"http://a/"'), "target 'http://a/'"),
    "unknown_request_key": (TOP, REQUEST + 'path = "/x"\n', "`path`"),
    "method_number": (TOP, REQUEST + "method = 1\n", "$.request[0].method"),
    "headers_list": (TOP, REQUEST + 'headers = ["A: b"]\n', "$.request[0].headers"),
    "header_number": (TOP, REQUEST + "headers = { A = 1 }\n", "$.request[0].headers"),
    "body_number": (TOP, REQUEST + "body = 20\n", "$.request[0].body"),
    "body_length_text": (TOP, REQUEST + 'body_length = "20 MB"\n', "$.request[0].body_length"),
    "body_twice": (TOP, REQUEST + 'body = "x"\nbody_length = 1\n', "body or body_length"),
    "body_empty_and_length": (TOP, REQUEST + 'body = ""\nbody_length = 1\n', "body or body_len"),
    "chunked_text": (TOP, REQUEST + 'chunked = "yes"\n', "$.request[0].chunked"),
    "expect_text": (TOP, REQUEST + 'expect = "55"\n', "$.request[0].expect"),
    "unknown_expect_key": (TOP, REQUEST + "expect = { state = [200] }\n", "`state`"),
    "status_number": (TOP, REQUEST + "expect = { status = 200 }\n", "expect.status"),
    "status_text": (TOP, REQUEST + 'expect = { status = ["2xx"] }\n', "expect.status[0]"),
    "expected_body_number": (TOP, REQUEST + "expect = { body = 55 }\n", "expect.body"),
    "items_text": (TOP, REQUEST + 'expect = { items = "50" }\n', "expect.items"),
}


@pytest.mark.parametrize(("top", "request_table", "key"), WRONG.values(), ids=WRONG.keys())
def test_mistakes_are_named(top: str, request_table: str, key: str) -> None:
    assert key in refused(top + request_table)


UNSENDABLE = {
    "method_empty": ('method = ""', "method ''"),
    "method_of_two_words": ('method = "GET /x"', "method 'GET /x'"),
    "method_with_a_line_break": ('method = "GET\\n"', r"method 'GET\n'"),
    "method_not_ascii": ('method = "G\u00cbT"', "method 'G\u00cbT'"),
    "head": ('method = "HEAD"', "method HEAD"),
    "target_with_a_space": ('target = "/a b"', "target '/a b'"),
    "target_with_a_return": ('target = "/x\\r HTTP/1.1"', r"target '/x\r HTTP/1.1'"),
    "target_with_a_newline": ('target = "/x\\n"', r"target '/x\n'"),
    "target_with_a_delete": ('target = "/x\\u007F"', r"target '/x\x7f'"),
    "target_not_ascii": ('target = "/\u00e9"', "target '/\u00e9'"),
    "header_name_empty": ('headers = { "" = "b" }', "header name ''"),
    "header_name_with_a_colon": ('headers = { "A:" = "b" }', "header name 'A:'"),
    "header_name_with_a_space": ('headers = { "A " = "b" }', "header name 'A '"),
    "header_name_with_a_line_break": ('headers = { "A\\nB" = "c" }', r"header name 'A\nB'"),
    "header_value_with_a_return": ('headers = { A = "b\\rC: d" }', "header A: the value"),
    "header_value_with_a_newline": ('headers = { A = "b\\nC: d" }', "header A: the value"),
    "header_value_with_a_zero": ('headers = { A = "\\u0000" }', "header A: the value"),
    "header_value_with_a_control": ('headers = { A = "\\u0085" }', "header A: the value"),
    "header_value_not_latin_1": ('headers = { A = "\u20ac" }', "header A: the value"),
    "second_header": ('headers = { A = "b", C = "\\r\\n" }', "header C: the value"),
    "length_of_a_body": ('headers = { Content-Length = "3" }\nbody = "abc"', "Content-Length"),
    "length_of_an_empty_body": ('headers = { content-length = "3" }\nbody = ""', "content-length"),
    "coding_of_a_generated_body": (
        'headers = { Transfer-Encoding = "chunked" }\nbody_length = 3',
        "Transfer-Encoding",
    ),
    "length_beside_chunked": (
        'headers = { CONTENT-LENGTH = "3" }\nchunked = true',
        "CONTENT-LENGTH",
    ),
    "body_length_negative": ("body_length = -5", "body_length must not be negative, not -5"),
    "items_negative": ("expect = { items = -1 }", "expect.items must not be negative, not -1"),
}


@pytest.mark.parametrize(("lines", "what"), UNSENDABLE.values(), ids=UNSENDABLE.keys())
def test_requests_that_cannot_be_sent(lines: str, what: str) -> None:
    target = "" if lines.startswith("target") else 'target = "/"\n'
    message = refused(f'{TOP}[[request]]\nname = "bad"\n{target}{lines}\n')
    assert "request 'bad': " in message
    assert what in message


@pytest.mark.parametrize(
    "lines",
    [
        'method = "M-SEARCH"',
        'headers = { "X_a.b~1" = "\u00e9\\t!" }',
        'method = "POST"\nheaders = { Content-Length = "0" }',
    ],
    ids=["method", "header", "length_without_a_body"],
)
def test_unusual_requests_that_can_be_sent(lines: str) -> None:
    (template,) = parse_scenario(f"{TOP}{REQUEST}{lines}\n", "mine").templates
    assert prepare(template, "h:1").head.startswith(template.method.encode() + b" / HTTP/1.1\r\n")


def test_line_breaks_in_a_body_are_sent() -> None:
    text = f'{TOP}{REQUEST}body = "a\\r\\n\\r\\nb"\n'
    assert parse_scenario(text, "mine").templates[0].body == "a\r\n\r\nb"


@settings(deadline=None, max_examples=60)
@given(st.integers(0, len(TOP + REQUEST)), st.text("'\"[]{}=\n\\#.,a1-", max_size=3))
def test_any_edit_parses_or_is_refused(at: int, insert: str) -> None:
    text = TOP + REQUEST
    scenario: Scenario | None = None
    with suppress(UsageError):
        scenario = parse_scenario(text[:at] + insert + text[at:], "mine")
    if scenario is not None:
        assert scenario.connections
        assert scenario.templates[0].target.startswith("/")
