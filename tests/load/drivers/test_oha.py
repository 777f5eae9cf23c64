"""oha: its JSON as documented, and its options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from diagnose.load.drivers import oha
from diagnose.model.load import Latency
from diagnose.model.scenario import Protocol, RequestTemplate
from tests.load.drivers.captured import POST, output, scenario

TEXT = output("oha.json")


def changed(**parts: object) -> str:
    """The document with other values at the top."""
    return json.dumps({**json.loads(TEXT), **parts})


def run(tmp_path: Path, *templates: RequestTemplate, **changes: object) -> list[str]:
    """The command, with its files written."""
    return oha.command(scenario(*templates, **changes), 4, 2.5, "127.0.0.1", 8080, tmp_path, 2)


class TestParse:
    """The documented JSON."""

    def test_counts_latency_and_errors(self) -> None:
        report = oha.parse(TEXT)
        assert (report.responses, report.duration_s) == (119011, 5.0021)
        assert report.status == {"2xx": 118961, "5xx": 50}
        assert report.bytes_received == 238022
        assert report.latency == Latency(119011, 0.0021, 0.0019, 0.0034, 0.0083, 0.0202, 0.0312)
        assert report.errors == {"closed_before_response": 4, "refused": 2, "timeout": 3}

    def test_the_words_of_an_error_are_an_example(self) -> None:
        details = {example.kind: example.detail for example in oha.parse(TEXT).examples}
        assert details["refused"] == "Connection refused (os error 111)"

    @pytest.mark.parametrize(
        ("said", "kind"),
        [
            ("Connection reset by peer (os error 104)", "reset_before_response"),
            ("error reading a body from connection: message incomplete", "closed_in_response"),
            ("client error (Connect)", "connect_error"),
            ("invalid HTTP version parsed", "bad_framing"),
            ("something new", "closed_before_response"),
        ],
    )
    def test_errors_are_mapped_by_their_words(self, said: str, kind: str) -> None:
        assert oha.parse(changed(errorDistribution={said: 2})).errors == {kind: 2}

    def test_no_response_has_no_latency(self) -> None:
        nothing = dict.fromkeys(("p10", "p50", "p90", "p99", "p99.9"))
        report = oha.parse(changed(statusCodeDistribution={}, latencyPercentiles=nothing))
        assert (report.responses, report.latency) == (0, Latency())

    def test_words_around_the_document_are_passed_over(self) -> None:
        assert oha.parse(f"warning: x\n{TEXT}\nbye\n") == oha.parse(TEXT)


class TestCommand:
    """Arguments and files."""

    def test_a_plain_get(self, tmp_path: Path) -> None:
        assert run(tmp_path) == [
            *("oha", "--no-tui", "--output-format", "json", "-z", "2500ms", "-c", "4"),
            *("--redirect", "0", "--disable-compression", "-t", "10s", "-m", "GET"),
            "http://127.0.0.1:8080/pipeline",
        ]

    def test_http2_streams_over_tls(self, tmp_path: Path) -> None:
        arguments = run(tmp_path, protocol=Protocol.H2, tls=True, pipeline=8)
        assert arguments[-5:-1] == ["--http2", "-p", "8", "--insecure"]
        assert arguments[-1].startswith("https://")

    def test_an_open_loop(self, tmp_path: Path) -> None:
        assert run(tmp_path, rate=1500.0)[-4:-1] == ["-q", "1500", "--latency-correction"]

    def test_a_connection_for_each_request(self, tmp_path: Path) -> None:
        assert "--disable-keepalive" in run(tmp_path, requests_per_connection=1)

    def test_body_host_and_headers(self, tmp_path: Path) -> None:
        template = RequestTemplate(
            *("p", "POST", "/x"), headers=(("Host", "example"), ("X-A", "b")), body="20"
        )
        arguments = run(tmp_path, template, POST)
        assert (tmp_path / "body").read_text() == "20"
        assert arguments[-7:-1] == [
            *("-D", str(tmp_path / "body"), "--host", "example", "-H", "X-A: b"),
        ]
