"""Raw request templates: files with exact bytes, and what they must be answered with."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.errors import UsageError
from diagnose.model.scenario import Answer, Expectation
from diagnose.scenario import raw_file
from diagnose.scenario.raw_file import raw_scenario, raw_template

GET = b"GET /pipeline HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /baseline11?a=13&b=42 HTTP/1.1\r\nHost: x\r\n"
SUM = Expectation(sum=True, content_type="text/plain")
ANY = Expectation(answer=Answer.ANY)


def refused(listed: str) -> str:
    with pytest.raises(UsageError, match="--raw") as caught:
        raw_scenario(listed)
    return str(caught.value)


# -- files ---------------------------------------------------------------------------------------


@pytest.fixture(name="home")
def _home(tmp_path: Path) -> Path:
    """A directory with two templates and something else."""
    (tmp_path / "post.raw").write_bytes(POST + b"Content-Length: 2\r\n\r\n20")
    (tmp_path / "get.raw").write_bytes(GET)
    (tmp_path / "notes.txt").write_bytes(b"none")
    return tmp_path


def test_a_directory_is_its_raw_files_in_alphabetical_order(home: Path) -> None:
    scenario = raw_scenario(str(home))
    assert [template.name for template in scenario.templates] == ["get", "post"]
    assert scenario.templates[0].raw == GET
    assert (scenario.name, scenario.round, scenario.connections) == ("raw", "", (512,))
    assert scenario.title == "raw templates: get, post"


def test_a_list_keeps_its_order(home: Path) -> None:
    scenario = raw_scenario(f"{home}/post.raw,{home}/get.raw", (8, 16))
    assert [template.name for template in scenario.templates] == ["post", "get"]
    assert scenario.connections == (8, 16)


def test_a_directory_among_files(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "extra.raw").write_bytes(GET)
    names = [template.name for template in raw_scenario(f"{other},{home}/get.raw").templates]
    assert names == ["extra", "get"]


def test_any_file_may_be_named(home: Path) -> None:
    (template,) = raw_scenario(f"{home}/notes.txt").templates
    assert (template.name, template.raw) == ("notes", b"none")


def test_a_missing_file_is_named(home: Path) -> None:
    message = refused(f"{home}/get.raw,{home}/gone.raw")
    assert "gone.raw" in message
    assert "No such file or directory" in message


def test_an_empty_file_is_named(home: Path) -> None:
    (home / "empty.raw").write_bytes(b"")
    assert "empty.raw' is empty" in refused(str(home))


def test_a_directory_without_templates(tmp_path: Path) -> None:
    assert "no *.raw file in the directory" in refused(str(tmp_path))


def test_two_files_of_one_name(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "get.raw").write_bytes(GET)
    assert "two files are called 'get'" in refused(f"{home}/get.raw,{other}/get.raw")


def test_a_file_that_is_too_large(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_file, "MAX_RAW", len(GET))
    assert raw_scenario(f"{home}/get.raw").templates[0].raw == GET
    message = refused(f"{home}/post.raw")
    assert "post.raw' has" in message
    assert "body_length" in message


@pytest.mark.parametrize("value", [b"{RAND:9:1}", b"{RAND:1}", b"{SEQ}"])
def test_a_value_that_is_none_is_named(home: Path, value: bytes) -> None:
    """Drawn from 9 to 1 it would end a load worker in the middle of the load."""
    (home / "get.raw").write_bytes(GET.replace(b"/pipeline", b"/?a=" + value))
    message = refused(f"{home}/get.raw")
    assert "get.raw" in message
    assert value.decode() in message


# -- what they must be answered with -------------------------------------------------------------

FITTING = {
    "get": (GET, "GET", "/pipeline", Expectation(body="ok", content_type="text/plain")),
    "get_without_headers": (b"GET / HTTP/1.1\r\n\r\n", "GET", "/", Expectation()),
    "sum": (
        b"GET /baseline11?a=1&b=2 HTTP/1.1\r\n\r\n",
        *("GET", "/baseline11?a=1&b=2", SUM),
    ),
    "length": (
        POST + b"Content-Length: 2\r\n\r\n20",
        *("POST", "/baseline11?a=13&b=42", SUM),
    ),
    "length_in_any_case_and_space": (
        POST + b"CONTENT-length:\t2 \r\n\r\n20",
        *("POST", "/baseline11?a=13&b=42", SUM),
    ),
    "chunked": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n20\r\n0\r\n\r\n",
        *("POST", "/baseline11?a=13&b=42", SUM),
    ),
    "upload": (
        b"POST /upload HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        *("POST", "/upload", Expectation(body="5")),
    ),
    "chunked_upload": (
        b"POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
        *("POST", "/upload", Expectation(body="13")),
    ),
    "value": (
        b"GET /baseline11?a={RAND:10:99}&b={SEQ:5} HTTP/1.1\r\n\r\n",
        *("GET", "/baseline11?a=10&b=5", SUM),
    ),
    "value_in_the_body": (
        POST + b"Content-Length: 3\r\n\r\n{RAND:1:500}",
        *("POST", "/baseline11?a=13&b=42", SUM),
    ),
}


@pytest.mark.parametrize(
    ("data", "method", "target", "expect"), FITTING.values(), ids=FITTING.keys()
)
def test_whole_requests(data: bytes, method: str, target: str, expect: Expectation) -> None:
    template = raw_template("t", data)
    assert (template.method, template.target, template.expect) == (method, target, expect)
    assert template.raw == data


BROKEN = {
    "nothing_of_http": b"\x00\x01\x02",
    "no_end_of_the_head": b"GET / HTTP/1.1\r\nHost: x\r\n",
    "bare_newlines": b"GET / HTTP/1.1\nHost: x\n\n",
    "http_1_0": b"GET / HTTP/1.0\r\n\r\n",
    "no_target": b"GET HTTP/1.1\r\n\r\n",
    "small_method": b"get / HTTP/1.1\r\n\r\n",
    "empty_lines_first": b"\r\n\r\n" + GET,
    "body_missing": POST + b"Content-Length: 999\r\n\r\n",
    "body_short": POST + b"Content-Length: 3\r\n\r\n20",
    "body_long": POST + b"Content-Length: 1\r\n\r\n20",
    "body_without_a_length": POST + b"\r\n20",
    "two_requests": GET + GET,
    "chunks_without_an_end": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n20\r\n",
    "last_chunk_without_its_end": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n20\r\n0\r\n",
    "chunk_short": POST + b"Transfer-Encoding: chunked\r\n\r\n9\r\n20\r\n0\r\n\r\n",
    "chunk_size_none": POST + b"Transfer-Encoding: chunked\r\n\r\nx\r\n20\r\n0\r\n\r\n",
    "length_of_5000_digits": POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n20",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_not_whole_may_get_any_answer(data: bytes) -> None:
    template = raw_template("t", data)
    assert template.expect == ANY
    assert template.raw == data


@pytest.mark.parametrize("cut", range(1, len(POST) + 21))
def test_a_request_that_is_cut_off_anywhere(cut: int) -> None:
    whole = POST + b"Content-Length: 2\r\n\r\n20"
    expect = raw_template("t", whole[:cut]).expect
    assert expect == (ANY if cut < len(whole) else SUM)


def test_the_unknown_method_and_path_of_the_rest_say_nothing() -> None:
    template = raw_template("t", b"BREW /pot HTTP/1.1\r\n\r\n")
    assert (template.method, template.expect) == ("BREW", Expectation())


@settings(deadline=None, max_examples=80)
@given(st.binary(max_size=60), st.integers(0, len(GET)))
def test_any_bytes_are_a_template(noise: bytes, at: int) -> None:
    for data in (noise, GET[:at] + noise + GET[at:]):
        template = raw_template("t", data)
        assert template.raw == data
        assert template.target.startswith("/")
