"""h2load: its text and its log, alone and together."""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnose.load.drivers import DriverOutputError, h2load
from diagnose.load.histogram import Histogram
from diagnose.model.load import Latency
from diagnose.model.scenario import Protocol, RequestTemplate
from tests.load.drivers.captured import GET, POST, output, scenario


def run(tmp_path: Path, *templates: RequestTemplate, **changes: object) -> list[str]:
    """The command, with its files written."""
    wanted = scenario(*templates, **changes)
    return h2load.command(wanted, 4, 2.4, "127.0.0.1", 8080, tmp_path, 2)


def headers(arguments: list[str]) -> list[str]:
    """The values of --header."""
    return [arguments[index + 1] for index, word in enumerate(arguments) if word == "--header"]


class TestParse:
    """Captured texts."""

    def test_counts_and_the_measured_window_without_the_warm_up(self) -> None:
        report = h2load.parse(output("h2load_h1.txt"))
        assert (report.responses, report.duration_s, report.warmup_s) == (174, 0.5, 0.3)
        assert report.status == {"2xx": 174}
        assert report.bytes_received == 25926
        assert report.protocol == "http/1.1"

    def test_without_a_log_there_is_only_mean_and_maximum(self) -> None:
        report = h2load.parse(output("h2load_h1.txt"))
        assert report.latency == Latency(mean_s=70e-6, max_s=707e-6)
        assert report.latency_samples is None

    def test_latencies_are_those_of_the_log(self) -> None:
        log = output("h2load_h1.log")
        times = sorted(int(line.split("\t")[2]) / 1e6 for line in log.splitlines())
        report = h2load.parse(output("h2load_h1.txt"), log)
        assert report.latency.samples == report.latency_samples == len(times) == 174
        assert report.latency.p50_s == pytest.approx(times[86], rel=0.002)
        assert report.latency.p90_s == pytest.approx(times[156], rel=0.002)
        assert report.latency.max_s == pytest.approx(707e-6, rel=0.002)
        assert Histogram(report.histogram).latency() == report.latency

    def test_statuses_are_told_apart(self) -> None:
        report = h2load.parse(output("h2load_pipelined.txt"))
        assert report.responses == 43377
        assert report.status == {"2xx": 21688, "4xx": 21689}

    @pytest.mark.parametrize(
        ("name", "protocol"), [("h2load_h2c.txt", "h2c"), ("h2load_h2_tls.txt", "h2")]
    )
    def test_http2(self, name: str, protocol: str) -> None:
        report = h2load.parse(output(name))
        assert report.protocol == protocol
        assert report.responses > 20_000
        assert report.responses - report.status["2xx"] in (0, 1)

    @pytest.mark.parametrize(
        "name", ["h2load_refused.txt", "h2load_dropped.txt", "h2load_silent.txt"]
    )
    def test_no_response_is_told_as_nothing_at_all(self, name: str) -> None:
        report = h2load.parse(output(name))
        assert (report.responses, report.status, report.errors) == (0, {}, {})
        assert report.latency == Latency()

    def test_errors_of_a_run_by_number_are_counted(self) -> None:
        report = h2load.parse(output("h2load_errored.txt"))
        assert report.errors == {"closed_before_response": 40}
        assert report.responses == 0
        assert report.duration_s == pytest.approx(0.00158)

    def test_a_timeout_is_told_from_another_error(self) -> None:
        text = output("h2load_errored.txt").replace("0 timeout", "7 timeout")
        assert h2load.parse(text).errors == {"closed_before_response": 33, "timeout": 7}

    def test_a_status_without_the_rest_of_its_response_is_not_counted(self) -> None:
        text = output("h2load_pipelined.txt").replace("21689 4xx", "21699 4xx")
        assert sum(h2load.parse(text).status.values()) == 43377


class TestLog:
    """The log where h2load did not end by itself."""

    def test_it_is_the_report(self) -> None:
        report = h2load.parse(output("h2load_hanging.txt"), output("h2load_hanging.log"))
        assert (report.responses, report.status) == (400, {"2xx": 400})
        assert report.duration_s == 0.5
        assert report.latency.samples == 400
        assert "figures are those of its log" in report.caveats[0]
        assert report.bytes_received is None

    def test_ended_early_it_covers_the_time_of_its_rows(self) -> None:
        text = output("h2load_hanging.txt").partition("Main benchmark duration is over")[0]
        log = "1000000\t200\t500\n1200000\t503\t300\n1400000\t-1\t100000\n"
        report = h2load.parse(text, log)
        assert report.duration_s == 0.5
        assert (report.responses, report.status) == (2, {"2xx": 1, "5xx": 1})
        assert report.errors == {"closed_before_response": 1}
        assert report.latency.samples == 2

    def test_without_rows_there_is_no_report(self) -> None:
        with pytest.raises(DriverOutputError, match="spawning thread"):
            h2load.parse(output("h2load_hanging.txt"))

    def test_cut_anywhere_it_has_as_many_rows_as_whole_lines(self) -> None:
        log = output("h2load_hanging.log")[:600]
        text = output("h2load_hanging.txt")
        for length in range(24, len(log)):
            lines = log[:length].count("\n")
            if lines:
                assert h2load.parse(text, log[:length]).responses == lines

    @pytest.mark.parametrize(
        "log", ["a\tb\tc\n", "1\t2\n", "1\t2\t3\n4\n", "1\t200\t3\nx\ty\tz\n", "\n\n", "\0"]
    )
    def test_garbage_is_no_log(self, log: str) -> None:
        report = h2load.parse(output("h2load_h1.txt"), log)
        assert report.latency.samples == 0
        assert report.responses == 174

    def test_more_columns_of_later_versions_are_passed_over(self) -> None:
        report = h2load.parse(output("h2load_h1.txt"), "5\t200\t300\t7\n6\t200\t300\t8\n")
        assert report.latency.samples == 2
        assert report.latency.p50_s == pytest.approx(300e-6)


class TestCommand:
    """Arguments and files."""

    def test_http1(self, tmp_path: Path) -> None:
        arguments = run(tmp_path, pipeline=16, warmup_s=1.5)
        assert "--h1" in arguments
        assert arguments[arguments.index("--max-concurrent-streams") + 1] == "16"
        assert arguments[arguments.index("--duration") + 1] == "2400ms"
        assert arguments[arguments.index("--warm-up-time") + 1] == "1500ms"
        assert (tmp_path / "urls").read_text() == "http://127.0.0.1:8080/pipeline\n"
        assert headers(arguments) == []
        assert "--data" not in arguments
        assert "--rps" not in arguments

    @pytest.mark.parametrize(("tls", "scheme"), [(False, "http"), (True, "https")])
    def test_http2_by_prior_knowledge_and_over_tls(
        self, tmp_path: Path, tls: bool, scheme: str
    ) -> None:
        arguments = run(tmp_path, protocol=Protocol.H2, tls=tls)
        assert "--h1" not in arguments
        assert arguments[-2:] == ["--no-tls-proto", "h2c"]
        assert (tmp_path / "urls").read_text().startswith(f"{scheme}://")

    def test_targets_rotate(self, tmp_path: Path) -> None:
        run(tmp_path, GET, RequestTemplate("other", "GET", "/json/5?m=7"))
        lines = (tmp_path / "urls").read_text().splitlines()
        assert lines == ["http://127.0.0.1:8080/pipeline", "http://127.0.0.1:8080/json/5?m=7"]

    def test_values_in_a_target_are_drawn_beforehand(self, tmp_path: Path) -> None:
        run(tmp_path, RequestTemplate("a", "GET", "/?a={RAND:100:999}&b={SEQ:5}"))
        lines = (tmp_path / "urls").read_text().splitlines()
        assert len(set(lines)) == 64
        assert "{" not in "".join(lines)

    def test_other_methods_only_the_first_is_sent(self, tmp_path: Path) -> None:
        run(tmp_path, GET, POST)
        assert (tmp_path / "urls").read_text().count("\n") == 1

    def test_a_body_is_a_file_and_makes_a_post(self, tmp_path: Path) -> None:
        arguments = run(tmp_path, POST)
        assert (tmp_path / "body").read_text() == "20"
        assert arguments[arguments.index("--data") + 1] == str(tmp_path / "body")
        assert headers(arguments) == []

    @pytest.mark.parametrize("chunked", [False, True])
    def test_a_long_body_has_no_transfer_coding_in_its_file(
        self, tmp_path: Path, chunked: bool
    ) -> None:
        run(tmp_path, RequestTemplate("u", "POST", "/u", body_length=200_000, chunked=chunked))
        assert (tmp_path / "body").stat().st_size == 200_000

    def test_method_host_and_other_headers(self, tmp_path: Path) -> None:
        template = RequestTemplate(
            *("put", "PUT", "/x"),
            headers=(("Host", "example"), ("X-A", "b"), ("Content-Length", "2")),
            body="20",
        )
        arguments = run(tmp_path, template)
        assert headers(arguments) == [":method: PUT", ":authority: example", "X-A: b"]

    def test_a_post_without_a_body_says_so(self, tmp_path: Path) -> None:
        arguments = run(tmp_path, RequestTemplate("p", "POST", "/x"))
        assert headers(arguments) == ["content-length: 0", ":method: POST"]

    def test_a_rate_is_shared_between_the_connections(self, tmp_path: Path) -> None:
        arguments = run(tmp_path, rate=1000.0)
        assert arguments[arguments.index("--rps") + 1] == "250"
