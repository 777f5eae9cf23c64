"""wrk: its text, its script's line, and the files that its script reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnose.load.drivers import DriverOutputError, wrk
from diagnose.load.histogram import Histogram
from diagnose.load.requests import prepare
from diagnose.model.load import Failure, Latency
from diagnose.model.scenario import RequestTemplate
from tests.load.drivers.captured import GET, POST, output, scenario


def run(
    tmp_path: Path, *templates: RequestTemplate, connections: int = 4, **changes: object
) -> list[str]:
    """The command, with its files written."""
    wanted = scenario(*templates, **changes)
    return wrk.command(wanted, connections, 2.4, "127.0.0.1", 8080, tmp_path, 2)


class TestParse:
    """Captured texts."""

    def test_exact_figures_come_from_the_lines_of_the_script(self) -> None:
        report = wrk.parse(output("wrk.txt"))
        assert (report.responses, report.duration_s) == (105654, 1.000479)
        assert report.status == {"2xx": 105654}
        assert report.bytes_received == 15742446
        assert report.errors == {}
        assert report.reconnects is None
        assert report.caveats == ()

    def test_the_latencies_are_those_that_were_measured(self) -> None:
        report = wrk.parse(output("wrk.txt"))
        assert Histogram(report.histogram).latency() == report.latency
        assert report.latency.samples == report.latency_samples == 105654
        assert report.latency.max_s == pytest.approx(4119e-6, rel=0.001)
        # wrk's own mean, with what it adds, is 97 us.
        assert report.latency.mean_s == pytest.approx(35.76e-6, rel=0.001)

    def test_the_buckets_of_the_script_are_those_of_the_histogram(self) -> None:
        times = [1e-6, 2047e-6, 2048e-6, 4095e-6, 4096e-6, 0.0123457, 1.234567, 60.0]
        expected = Histogram()
        expected.record(times)

        def bucket(micros: int) -> int:
            """As in the script."""
            shift, width = 0, 1
            while micros / width >= 2048:
                shift, width = shift + 1024, width * 2
            return shift + micros // width

        assert set(expected.counts()) == {bucket(round(time * 1e6)) for time in times}

    @pytest.mark.parametrize(
        "broken",
        ["latencies: 38:1 end", "latencies: 99999:105654 end", "latencies: 38:x end", ""],
    )
    def test_latencies_of_another_number_than_responses_are_not_taken(self, broken: str) -> None:
        exact, _, _ = output("wrk.txt").partition("latencies: ")
        report = wrk.parse(f"{exact}{broken}\n")
        assert report.histogram == {}
        assert report.latency == Latency(105654, 97.150e-6, 35e-6, 61e-6, 2039e-6, 3401e-6, 4119e-6)
        assert "adds without having measured" in report.caveats[0]

    def test_without_the_script_the_rounded_text_is_read(self) -> None:
        text, _, _ = output("wrk.txt").partition("exact: ")
        report = wrk.parse(text)
        assert report.duration_s == pytest.approx(1.00)
        assert report.bytes_received == pytest.approx(15742446, rel=0.01)
        assert report.latency.samples == 105654
        assert report.latency.mean_s == pytest.approx(97.15e-6, rel=0.01)
        assert report.latency.p99_s == pytest.approx(2039e-6, rel=0.01)
        assert report.latency.max_s == pytest.approx(4119e-6, rel=0.01)
        assert report.latency.p999_s == 0

    def test_a_latency_of_a_pipelined_batch_is_one_sample(self) -> None:
        report = wrk.parse(output("wrk_pipelined.txt"))
        assert report.responses == 215936
        assert report.latency.samples == 215936 // 16
        assert report.latency.max_s == pytest.approx(10732e-6, rel=0.001)

    @pytest.mark.parametrize("lines", ["latencies: ", "exact: "])
    def test_without_them_pipelined_latencies_are_left_out(self, lines: str) -> None:
        text, _, _ = output("wrk_pipelined.txt").partition(lines)
        report = wrk.parse(text)
        assert report.responses == 215936
        assert report.latency == Latency()
        assert report.caveats == ()

    def test_wrong_statuses_are_told_from_right_ones(self) -> None:
        report = wrk.parse(output("wrk_rotation.txt"))
        assert report.status == {"2xx": 2125, "4xx/5xx": 1064}

    def test_connections_that_end_without_a_response_are_failures(self) -> None:
        report = wrk.parse(output("wrk_dropped.txt"))
        assert report.responses == 0
        assert report.status == {}
        assert report.errors == {Failure.CLOSED_WAITING.value: 40869}
        assert report.latency == Latency()

    def test_every_kind_of_socket_error_is_mapped(self) -> None:
        text = output("wrk_dropped.txt").replace(
            "connect 0, read 40869, write 0, timeout 0", "connect 1, read 2, write 3, timeout 4"
        )
        assert wrk.parse(text).errors == {
            "connect_error": 1,
            "closed_before_response": 2,
            "reset_while_sending": 3,
            "timeout": 4,
        }

    @pytest.mark.parametrize("name", ["wrk_closed.txt", "wrk_tls.txt"])
    def test_announced_ends_and_tls_look_like_any_run(self, name: str) -> None:
        report = wrk.parse(output(name))
        assert report.responses == report.status["2xx"] == report.latency.samples > 30_000

    def test_silence_is_no_response(self) -> None:
        report = wrk.parse(output("wrk_silent.txt"))
        assert (report.responses, report.errors, report.latency) == (0, {}, Latency())

    def test_a_refused_connection_is_no_report(self) -> None:
        with pytest.raises(DriverOutputError, match="Connection refused"):
            wrk.parse(output("wrk_refused.txt"))

    def test_a_broken_line_of_the_script_is_passed_over(self) -> None:
        text = output("wrk.txt").replace("duration=1000479", "duration=nan")
        assert wrk.parse(text).duration_s == pytest.approx(1.00)
        text = output("wrk.txt").replace("duration=1000479", "duration=x")
        assert wrk.parse(text).duration_s == pytest.approx(1.00)

    def test_a_text_cut_before_its_errors_is_no_report(self) -> None:
        text = output("wrk_dropped.txt")
        with pytest.raises(DriverOutputError):
            wrk.parse(text[: text.index("  Socket errors")])


class TestCommand:
    """Arguments and files."""

    def test_the_files_hold_the_exact_requests_in_rotation(self, tmp_path: Path) -> None:
        arguments = run(tmp_path, GET, POST, GET)
        assert arguments[-6:] == ["--", str(tmp_path), "3", "1", "2", "4"]
        wanted = [prepare(template, "127.0.0.1:8080").head for template in (GET, POST, GET)]
        assert [(tmp_path / str(index)).read_bytes() for index in range(3)] == wanted

    def test_a_long_body_is_written_once(self, tmp_path: Path) -> None:
        run(tmp_path, RequestTemplate("up", "POST", "/upload", body_length=3_000_000))
        data = (tmp_path / "0").read_bytes()
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.endswith(b"Content-Length: 3000000")
        assert len(body) == 3_000_000

    def test_a_long_chunked_body_ends_with_its_last_chunk(self, tmp_path: Path) -> None:
        run(tmp_path, RequestTemplate("up", "POST", "/u", body_length=200_000, chunked=True))
        body = (tmp_path / "0").read_bytes().partition(b"\r\n\r\n")[2]
        assert body.startswith(b"10000\r\n")
        assert body.endswith(b"\r\n0\r\n\r\n")

    def test_values_are_drawn_beforehand_and_differ(self, tmp_path: Path) -> None:
        template = RequestTemplate("a", "GET", "/?a={RAND:100:999}&b={SEQ:5}")
        run(tmp_path, template)
        texts = [path.read_text() for path in tmp_path.iterdir()]
        assert len(set(texts)) == 64
        assert not any("{" in text for text in texts)
        assert any("&b=5 " in text for text in texts)
        assert any("&b=68 " in text for text in texts)

    def test_raw_bytes_go_out_as_they_are(self, tmp_path: Path) -> None:
        raw = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
        run(tmp_path, RequestTemplate("raw", "GET", "/x", raw=raw))
        assert (tmp_path / "0").read_bytes() == raw

    @pytest.mark.parametrize(("connections", "threads"), [(4, "2"), (5, "1"), (1, "1")])
    def test_threads_share_the_connections_evenly(
        self, tmp_path: Path, connections: int, threads: str
    ) -> None:
        arguments = run(tmp_path, connections=connections)
        assert arguments[arguments.index("--threads") + 1] == threads
        assert arguments[-2:] == [threads, str(connections)]

    def test_times_are_whole_seconds(self, tmp_path: Path) -> None:
        arguments = run(tmp_path, timeout_s=1.5)
        assert arguments[arguments.index("--duration") + 1] == "2s"
        assert arguments[arguments.index("--timeout") + 1] == "2s"

    def test_a_long_body_may_take_the_whole_run(self, tmp_path: Path) -> None:
        template = RequestTemplate("up", "POST", "/", body_length=100_000)
        arguments = run(tmp_path, template, timeout_s=1.5)
        assert arguments[arguments.index("--timeout") + 1] == "3s"

    def test_tls_is_in_the_url(self, tmp_path: Path) -> None:
        assert "https://127.0.0.1:8080/" in run(tmp_path, tls=True)

    def test_the_script_is_there(self) -> None:
        assert "function wrk.init" in wrk.SCRIPT.read_text()
