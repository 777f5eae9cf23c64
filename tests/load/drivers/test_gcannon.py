"""gcannon: the report of the contract, and the raw templates that are written for it."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import pytest

from diagnose.load.drivers import DriverOutputError, gcannon
from diagnose.model.load import Latency
from diagnose.model.scenario import RequestTemplate, Sending
from tests.load.drivers.captured import GET, POST, output, scenario

TEXT = output("gcannon.txt")


def test_the_report_of_the_contract() -> None:
    report = gcannon.parse(TEXT)
    assert (report.responses, report.duration_s) == (315738, 5.02)
    assert report.status == {"2xx": 315738}
    assert report.reconnects == 315932
    assert report.errors == {"closed_before_response": 3}
    assert report.latency_samples == 315738
    assert astuple(report.latency) == pytest.approx(
        (315738, 0.13317, 0.1128, 0.1919, 0.576, 1.6, 0.0)
    )
    assert report.bytes_received is None


def test_lines_that_may_be_missing() -> None:
    text = "".join(
        line
        for line in TEXT.splitlines(True)
        if not line.startswith(("Reconnects", "Errors", "Latency samples"))
    )
    report = gcannon.parse(text)
    assert report.responses == 315738
    assert report.reconnects is None
    assert report.errors == {}
    assert report.latency == Latency()


def test_every_class_and_every_error_is_read() -> None:
    text = TEXT.replace("3xx=0, 4xx=0, 5xx=0", "3xx=1, 4xx=2, 5xx=3").replace(
        "connect 0, read 3, timeout 0", "connect 4, read 5, timeout 6"
    )
    report = gcannon.parse(text)
    assert report.status == {"2xx": 315738, "3xx": 1, "4xx": 2, "5xx": 3}
    assert report.errors == {"connect_error": 4, "closed_before_response": 5, "timeout": 6}


@pytest.mark.parametrize("line", ["responses", "Status codes"])
def test_without_counts_there_is_no_report(line: str) -> None:
    text = "".join(one for one in TEXT.splitlines(True) if line not in one)
    with pytest.raises(DriverOutputError):
        gcannon.parse(text)


def test_the_command_of_the_benchmark(tmp_path: Path) -> None:
    wanted = scenario(GET, POST, GET, pipeline=16, requests_per_connection=10)
    arguments = gcannon.command(wanted, 512, 5.0, "127.0.0.1", 8080, tmp_path, 64)
    files = [str(tmp_path / f"{index}.raw") for index in range(3)]
    assert arguments == [
        *("gcannon", "http://127.0.0.1:8080/", "-c", "512", "-t", "64", "-d", "5s"),
        *("-p", "16", "-r", "10", "--raw", ",".join(files)),
    ]
    assert Path(files[0]).read_bytes() == (
        b"GET /pipeline HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
    )
    assert Path(files[1]).read_bytes().endswith(b"Content-Length: 2\r\n\r\n20")


def test_connections_that_are_never_closed_have_no_r(tmp_path: Path) -> None:
    assert "-r" not in gcannon.command(scenario(), 4, 1.0, "127.0.0.1", 80, tmp_path, 2)


def test_values_stay_for_gcannon_to_draw(tmp_path: Path) -> None:
    template = RequestTemplate("a", "POST", "/?a={SEQ:1}", body="{RAND:10:99}")
    gcannon.command(scenario(template), 4, 1.0, "127.0.0.1", 80, tmp_path, 2)
    data = (tmp_path / "0.raw").read_bytes()
    assert data.startswith(b"POST /?a={SEQ:1} ")
    assert data.endswith(b"Content-Length: 2\r\n\r\n{RAND:10:99}")


def test_a_part_of_a_request_is_written_as_the_part(tmp_path: Path) -> None:
    template = RequestTemplate("a", "POST", "/", body="0123456789", sending=Sending.HALF)
    gcannon.command(scenario(template), 4, 1.0, "127.0.0.1", 80, tmp_path, 2)
    assert (tmp_path / "0.raw").read_bytes().endswith(b"Content-Length: 10\r\n\r\n01234")
