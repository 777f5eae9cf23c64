"""Scenario files: protocols, paces, raw bytes, values and what may be expected of a body."""

from __future__ import annotations

import re

import pytest

from diagnose.errors import UsageError
from diagnose.model.scenario import (
    INLINE_BODY,
    Answer,
    Expectation,
    Protocol,
    RequestTemplate,
    Scenario,
    Sending,
)
from diagnose.scenario.toml_file import MAX_RANDOM, WS_LIMIT, parse_scenario, unsendable

TOP = 'title = "t"\nconnections = [1]\n'
NAMED = '[[request]]\nname = "a"\n'
REQUEST = f'{NAMED}target = "/"\n'


def parse(top: str = "", request: str = "", *, target: bool = True) -> Scenario:
    return parse_scenario(f"{TOP}{top}\n{REQUEST if target else NAMED}{request}\n", "mine")


def refused(top: str = "", request: str = "", *, target: bool = True) -> str:
    with pytest.raises(UsageError) as caught:
        parse(top, request, target=target)
    message = str(caught.value)
    assert "'mine'" in message
    return message


# -- the scenario --------------------------------------------------------------------------------


def test_every_key_of_the_scenario() -> None:
    scenario = parse(
        """
        protocol = "http"
        tls = true
        port = 8081
        server_cores = 4
        rate = 1000
        ramp_s = 2.5
        send_rate = 65536
        read_rate = 1024.5
        """
    )
    assert (scenario.protocol, scenario.tls, scenario.port) == (Protocol.HTTP, True, 8081)
    assert (scenario.server_cores, scenario.rate, scenario.ramp_s) == (4, 1000.0, 2.5)
    assert (scenario.send_rate, scenario.read_rate) == (65536.0, 1024.5)


def test_what_holds_where_nothing_is_said() -> None:
    scenario = parse()
    assert (scenario.protocol, scenario.tls, scenario.port) == (Protocol.HTTP, False, 8080)
    assert scenario.server_cores == scenario.rate == scenario.ramp_s == 0
    assert scenario.send_rate == scenario.read_rate == 0


WRONG_TOP = {
    "protocol_unknown": ('protocol = "h3"', "$.protocol"),
    "tls_text": ('tls = "yes"', "$.tls"),
    "port_zero": ("port = 0", "port must be 1 to 65535"),
    "port_large": ("port = 65536", "port must be 1 to 65535"),
    "port_text": ('port = "8080"', "$.port"),
    "cores_negative": ("server_cores = -1", "server_cores must not be negative"),
    "cores_fraction": ("server_cores = 1.5", "$.server_cores"),
    **{
        f"{key}_{name}": (f"{key} = {value}", f"{key} must not be negative")
        for key in ("rate", "ramp_s", "send_rate", "read_rate")
        for name, value in (("negative", -1), ("infinite", "inf"), ("nan", "nan"))
    },
    "rate_text": ('rate = "1000/s"', "$.rate"),
}


@pytest.mark.parametrize(("line", "what"), WRONG_TOP.values(), ids=WRONG_TOP.keys())
def test_figures_that_cannot_be(line: str, what: str) -> None:
    assert what in refused(line)


def test_an_unknown_key_is_answered_with_those_that_are_known() -> None:
    message = refused("rates = 5")
    for key in ("rate", "ramp_s", "protocol", "random_bytes", "max_wire_bytes", "min_items"):
        assert re.search(rf"\b{key}\b", message), key


# -- repetition ----------------------------------------------------------------------------------


def test_a_request_may_stand_several_times_in_the_rotation() -> None:
    text = f'{TOP}{REQUEST}repeat = 3\n[[request]]\nname = "b"\ntarget = "/b"\n'
    names = [template.name for template in parse_scenario(text, "mine").templates]
    assert names == ["a", "a", "a", "b"]


@pytest.mark.parametrize("count", [0, -1, 101])
def test_repetitions_that_cannot_be(count: int) -> None:
    assert "repeat must be 1 to 100" in refused(request=f"repeat = {count}")


def test_the_same_name_in_two_tables_is_still_a_mistake() -> None:
    text = f"{TOP}{REQUEST}repeat = 2\n{REQUEST}"
    with pytest.raises(UsageError, match="two requests have the same name"):
        parse_scenario(text, "mine")


# -- raw and random bytes ------------------------------------------------------------------------


def test_raw_bytes_are_the_request() -> None:
    (template,) = parse(
        request=r'raw = "GET /pipeline HTTP/1.1\r\nHost: x\r\n\r\n"', target=False
    ).templates
    assert template.raw == b"GET /pipeline HTTP/1.1\r\nHost: x\r\n\r\n"
    assert (template.method, template.target) == ("GET", "/pipeline")
    assert template.expect == Expectation(body="ok", content_type="text/plain")


def test_raw_bytes_that_are_no_whole_request_may_get_any_answer() -> None:
    (template,) = parse(request='raw = "hello"', target=False).templates
    assert (template.raw, template.method) == (b"hello", "RAW")
    assert template.expect == Expectation(answer=Answer.ANY)


def test_an_expectation_of_its_own_wins() -> None:
    lines = r'raw = "GET /pipeline HTTP/1.1\r\n\r\n"' + "\nexpect = { status = [400] }"
    (template,) = parse(request=lines, target=False).templates
    assert template.expect == Expectation(status=(400,))


@pytest.mark.parametrize("length", [1, 256, MAX_RANDOM])
def test_random_bytes_are_the_same_in_every_run(length: int) -> None:
    first, again = (
        parse(request=f"random_bytes = {length}", target=False).templates[0] for _ in range(2)
    )
    assert first == again
    assert first.raw is not None
    assert len(first.raw) == length
    assert first.expect.answer is Answer.ANY


def test_random_bytes_of_two_requests_differ() -> None:
    table = '[[request]]\nname = "{}"\nrandom_bytes = 64\n'
    one, two = parse_scenario(TOP + table.format("a") + table.format("b"), "mine").templates
    assert one.raw != two.raw


ONE_OF = "give one of target, raw, random_bytes"
WRONG_RAW = {
    "raw_and_target": ('raw = "x"\ntarget = "/"', ONE_OF),
    "raw_and_random": ('raw = "x"\nrandom_bytes = 3', ONE_OF),
    "random_and_target": ('random_bytes = 3\ntarget = "/"', ONE_OF),
    "none": ("", ONE_OF),
    "raw_empty": ('raw = ""', "raw must hold at least one byte"),
    "random_negative": ("random_bytes = -1", "random_bytes takes 1 to"),
    "random_many": (f"random_bytes = {MAX_RANDOM + 1}", "random_bytes takes 1 to"),
    "method": ('raw = "x"\nmethod = "POST"', "method is part of the raw bytes"),
    "headers": ('raw = "x"\nheaders = { A = "b" }', "headers is part of the raw bytes"),
    "body": ('raw = "x"\nbody = "b"', "body is part of the raw bytes"),
    "body_length": ('raw = "x"\nbody_length = 5', "body_length is part of the raw bytes"),
    "chunked": ("random_bytes = 5\nchunked = true", "chunked is part of the raw bytes"),
    "sending": ('raw = "x"\nsending = "half"', "sending is part of the raw bytes"),
    "value": ('raw = "{RAND:9:1}"', "raw: '{RAND:9:1}' is not"),
    "price": ('raw = "x"\nexpect = { price = [1, 2] }', "expect.price needs expect.rows"),
}


@pytest.mark.parametrize(("lines", "what"), WRONG_RAW.values(), ids=WRONG_RAW.keys())
def test_raw_requests_that_cannot_be(lines: str, what: str) -> None:
    message = refused(request=lines, target=False)
    assert "request 'a': " in message
    assert what in message


# -- parts of a request, and values --------------------------------------------------------------


@pytest.mark.parametrize("sending", list(Sending))
def test_how_much_is_sent(sending: Sending) -> None:
    (template,) = parse(request=f'body = "hello"\nsending = "{sending.value}"').templates
    assert template.sending is sending


@pytest.mark.parametrize("sending", ["head", "half"])
def test_what_is_not_sent_must_be_there(sending: str) -> None:
    assert "there is no body to hold back" in refused(request=f'sending = "{sending}"')


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        ('body = "{RAND:5:1}"', "body"),
        ('headers = { A = "{RAND:x:1}" }', "A"),
        ('headers = { A = "{SEQ}" }', "A"),
        ('body = "{RAND:1:2"', "body"),
    ],
)
def test_values_that_are_none(lines: str, where: str) -> None:
    assert f"'a': {where}: '{{" in refused(request=lines)


def test_a_value_in_the_target_that_is_none() -> None:
    assert "target: '{SEQ:a}' is not" in refused(request='target = "/{SEQ:a}"', target=False)


def test_values_stand_as_they_were_written() -> None:
    lines = 'target = "/?a={RAND:1:9}&b={SEQ:5}"\nbody = "{RAND:10:99}"'
    (template,) = parse(request=lines, target=False).templates
    assert (template.target, template.body) == ("/?a={RAND:1:9}&b={SEQ:5}", "{RAND:10:99}")


def test_a_counter_in_a_body_has_no_constant_length() -> None:
    assert "SEQ in a body has no constant length" in refused(request='body = "{SEQ:1}"')


# -- what is expected ----------------------------------------------------------------------------


def test_every_key_of_an_expectation() -> None:
    (template,) = parse(
        request="""
        [request.expect]
        min_items = 5000
        rows = 50
        price = [10, 50.5]
        encoding = ["gzip", "br"]
        max_wire_bytes = 500000
        same = true
        sum = true
        answer = "any"
        """
    ).templates
    assert template.expect == Expectation(
        min_items=5000,
        rows=50,
        price=(10.0, 50.5),
        encoding=("gzip", "br"),
        max_wire_bytes=500000,
        same=True,
        sum=True,
        answer=Answer.ANY,
    )


def test_no_coding_at_all_is_not_the_same_as_any() -> None:
    assert parse(request="expect = { encoding = [] }").templates[0].expect.encoding == ()
    assert parse().templates[0].expect.encoding is None


@pytest.mark.parametrize(
    ("expect", "what"),
    [
        ('sum = true, body = "55"', "give expect.sum or expect.body, not both"),
        ("price = [1, 2]", "expect.price needs expect.rows"),
        ("rows = 5, price = [1]", "expect.price"),
        ('encoding = ["gzip", "zstd"]', "expect.encoding 'zstd' cannot be decoded; known: gzip"),
        ('encoding = "gzip"', "expect.encoding"),
        ('answer = "some"', "expect.answer"),
        ('same = "yes"', "expect.same"),
        ('max_wire_bytes = "1M"', "expect.max_wire_bytes"),
    ],
)
def test_expectations_that_cannot_be(expect: str, what: str) -> None:
    assert what in refused(request=f"expect = {{ {expect} }}")


# -- what cannot be sent together ----------------------------------------------------------------


def test_generated_bodies_are_not_pipelined() -> None:
    large = f'method = "POST"\nbody_length = {INLINE_BODY + 1}'
    assert "pipeline = 2: generated bodies over" in refused("pipeline = 2", large)
    assert parse("pipeline = 1", large).pipeline == 1
    fits = f'method = "POST"\nbody_length = {INLINE_BODY}'
    assert parse("pipeline = 2", fits).pipeline == 2


@pytest.mark.parametrize("sending", ["head", "half"])
def test_what_is_not_sent_whole_is_not_pipelined(sending: str) -> None:
    lines = f'body = "x"\nsending = "{sending}"'
    assert "a request that is not sent whole" in refused("pipeline = 2", lines)
    assert parse(request=lines).pipeline == 1


def test_a_websocket_message() -> None:
    scenario = parse('protocol = "ws"\npipeline = 16', 'body = "hello"')
    assert (scenario.protocol, scenario.pipeline) == (Protocol.WS, 16)
    assert scenario.templates[0].body == "hello"


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ("", "a WebSocket message is the text in body"),
        ("body_length = 5", "a WebSocket message is the text in body"),
        ('body = "x"\nsending = "half"', "a WebSocket message is the text in body"),
        ('body = "{RAND:1:9}"', "values are not filled into WebSocket messages"),
        (f'body = "{"x" * (WS_LIMIT + 1)}"', f"may have {WS_LIMIT} bytes"),
        (f'body = "{"é" * (WS_LIMIT // 2 + 1)}"', f"may have {WS_LIMIT} bytes"),
    ],
    ids=["none", "generated", "half", "values", "long", "long_in_bytes"],
)
def test_what_is_no_websocket_message(lines: str, what: str) -> None:
    assert what in refused('protocol = "ws"', lines)


def test_a_raw_websocket_message_is_none() -> None:
    message = refused('protocol = "ws"', 'raw = "x"', target=False)
    assert "a WebSocket message is the text in body" in message


def test_raw_bytes_are_not_http_2() -> None:
    assert "HTTP/1.1, not HTTP/2" in refused('protocol = "h2"', 'raw = "x"', target=False)
    assert parse('protocol = "h2"').protocol is Protocol.H2


def test_what_can_be_sent_has_no_reason_against_it() -> None:
    small = RequestTemplate("a", "POST", "/", body="x")
    assert unsendable((small, small), 16, Protocol.HTTP) == ""
    assert unsendable((RequestTemplate("a", "GET", "/", body="x"),), 16, Protocol.WS) == ""
    assert "opened with GET" in unsendable((small,), 16, Protocol.WS)
    assert unsendable((small,), 16, Protocol.H2) == ""
