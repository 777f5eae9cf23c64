"""gcannon's report: its layout to the character, what reads it, and what stands below it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from diagnose.cli.app import app
from diagnose.load.drivers import gcannon
from diagnose.model.load import Failure, Latency
from diagnose.reports.gcannon import COUNTED, MARK, render
from tests.builders import make_launch, make_load, make_run, with_failures
from tests.reports.screens import ESCAPES, analyzed, everywhere
from tests.store.stored import store

# As the contract page quotes it: a run of 315,738 responses of which one took 1.6 s.
QUOTED = """\
Thread Stats   Avg      p50      p90      p99    p99.9
  Latency   133.17ms   112.80ms   191.90ms   576.00ms    1.60s

640368 requests in 5.02s, 315738 responses
Throughput: 62.84K req/s
Bandwidth:  514.51MB/s
Status codes: 2xx=315738, 3xx=0, 4xx=0, 5xx=0
Latency samples: 315738 / 315738 responses (100.0%)
Reconnects: 315932
Errors: connect 0, read 3, timeout 0"""

LATENCY = r"(-|\d+\.\d\d(?:us|ms|s))"
FORM = re.compile(
    r"Thread Stats   Avg      p50      p90      p99    p99\.9\n"
    rf"  Latency +{LATENCY} +{LATENCY} +{LATENCY} +{LATENCY} +{LATENCY}\n"
    r"\n"
    r"(?P<requests>\d+) requests in (?P<seconds>[\d.]+)s, (?P<responses>\d+) responses\n"
    r"Throughput: (?P<throughput>-|[\d.]+[KM]?) req/s\n"
    r"Bandwidth:  (?P<bandwidth>-|[\d.]+[KMG]?)B/s\n"
    r"Status codes: 2xx=(?P<ok>\d+), 3xx=\d+, 4xx=(?P<refused>\d+), 5xx=\d+\n"
    r"Latency samples: (?P<samples>\d+) / \d+ responses \((?P<share>-|[\d.]+%)\)\n"
    r"Reconnects: (?P<reconnects>-|\d+)\n"
    r"Errors: connect (?P<connect>\d+), read (?P<read>\d+), timeout (?P<timeout>\d+)$",
    re.MULTILINE,
)
EACH_KIND = {kind.value: 1 << place for place, kind in enumerate(Failure)}


def shown(**changes: Any) -> str:
    """The report of a run whose window had these figures."""
    return render([analyzed(make_run(load=make_load(**changes)))])


def parsed(text: str) -> dict[str, str]:
    """What a reader of gcannon's reports takes out of one."""
    match = FORM.search(text)
    assert match is not None, text
    return match.groupdict()


def remarks(text: str) -> str:
    """The lines that are not gcannon's."""
    return "\n".join(line for line in text.splitlines() if line.startswith(MARK))


class TestLayout:
    """What gcannon prints, to the character."""

    def test_of_the_report_that_the_contract_quotes(self) -> None:
        text = shown(
            duration_s=5.0245,
            responses=315_738,
            ok=315_738,
            status_classes={"2xx": 315_738},
            bytes_received=int(514.51e6 * 5.0245),
            opens=315_932,
            failures={"reset_before_response": 3},
            unanswered=324_627,
            latency=Latency(315_738, 0.13317, 0.1128, 0.1919, 0.576, 1.6, 2.0),
        )
        assert text.startswith(QUOTED + f"\n{MARK} ")

    @pytest.mark.parametrize(
        ("seconds", "field"),
        [
            (1e-6, "   1.00us"),
            (0.000_999, "   999.00us"),
            (0.000_999_996, "   1.00ms"),
            (0.001, "   1.00ms"),
            (0.010_5, "   10.50ms"),
            (0.999_99, "   999.99ms"),
            (0.999_999, "    1.00s"),
            (1.6, "    1.60s"),
            (75.0, "   75.00s"),
        ],
    )
    def test_of_a_latency(self, seconds: float, field: str) -> None:
        line = shown(latency=Latency(9, *[seconds] * 6)).splitlines()[1]
        assert line == "  Latency" + field * 5

    @pytest.mark.parametrize(
        ("responses", "throughput"),
        [
            (0, "0.00 req/s"),
            (4_061, "812.20 req/s"),
            (4_999_990, "1.00M req/s"),
            (5_000, "1.00K req/s"),
            (6_172_500, "1.23M req/s"),
        ],
    )
    def test_of_throughput(self, responses: int, throughput: str) -> None:
        assert f"\nThroughput: {throughput}\n" in shown(responses=responses)

    @pytest.mark.parametrize(
        ("received", "bandwidth"),
        [
            (50, "10.00B/s"),
            (5_000_000, "1.00MB/s"),
            (6_000, "1.20KB/s"),
            (25_000_000_000, "5.00GB/s"),
        ],
    )
    def test_of_bandwidth(self, received: int, bandwidth: str) -> None:
        assert f"\nBandwidth:  {bandwidth}\n" in shown(bytes_received=received)

    def test_of_all_runs(self) -> None:
        first, second = (analyzed(make_run(connections=count)) for count in (64, 512))
        text = render([first, second])
        assert len(FORM.findall(text)) == 2
        assert text.count("\n\nThread Stats") == 1
        assert text.index("64 connections") < text.index("512 connections")


class TestDriver:
    """The driver that reads gcannon's reports reads these, and what lies below does not disturb."""

    @pytest.mark.parametrize("scale", [1e-6, 1e-3, 0.1, 1.0, 30.0])
    def test_reads_what_was_written(self, scale: float) -> None:
        latency = Latency(5000, *(scale * factor for factor in (1.5, 1.0, 2.0, 3.0, 9.99)), 0.0)
        text = shown(
            latency=latency,
            responses=5000,
            ok=4000,
            opens=321,
            status_classes={"2xx": 4000, "4xx": 600, "5xx": 400},
            failures={"refused": 1, "connect_timeout": 2, "reset_in_response": 3, "timeout": 4},
        )
        report = gcannon.parse(text)
        assert report.responses == 5000
        assert report.duration_s == 5.0
        assert report.status == {"2xx": 4000, "4xx": 600, "5xx": 400}
        assert report.reconnects == 321
        assert sorted(report.errors.values()) == [3, 3, 4]
        assert report.latency_samples == report.latency.samples == 5000
        for name in ("mean_s", "p50_s", "p90_s", "p99_s", "p999_s"):
            assert getattr(report.latency, name) == pytest.approx(getattr(latency, name), rel=0.01)

    def test_what_it_read_is_written_again(self) -> None:
        report = gcannon.parse(QUOTED)
        text = shown(
            generator="gcannon",
            duration_s=report.duration_s,
            responses=report.responses,
            ok=report.responses,
            status_classes=report.status,
            failures=report.errors,
            opens=report.reconnects or 0,
            latency=report.latency,
            bytes_received=0,
        )
        # Requests, throughput and bandwidth are not in the driver's report, or only rounded.
        known = [2, 6, 7, 8, 9]
        written, quoted = text.splitlines(), QUOTED.splitlines()
        assert [written[line] for line in (0, 1, *known)] == [
            quoted[line] for line in (0, 1, *known)
        ]

    def test_finds_no_latency_where_none_was_measured(self) -> None:
        report = gcannon.parse(shown(latency=Latency()))
        assert report.latency == Latency()
        assert report.responses == 5000


class TestFigures:
    """What the lines say is what was measured."""

    def test_reconnects_are_opens(self) -> None:
        assert parsed(shown(opens=40_733))["reconnects"] == "40733"

    def test_requests_are_all_that_were_on_a_connection(self) -> None:
        text = shown(
            failures=EACH_KIND,
            late_responses=100_000,
            unanswered=200_000,
            unanswered_at_close=300_000,
            drain_failures={"reset_before_response": 1_000_000, "wrong_body": 7},
        )
        never_sent = sum(EACH_KIND[kind] for kind in ("refused", "connect_timeout"))
        never_sent += EACH_KIND["connect_error"]
        answered = EACH_KIND["wrong_status"] + EACH_KIND["wrong_body"]
        lost = sum(EACH_KIND.values()) - never_sent - answered
        assert parsed(text)["requests"] == str(5000 + 1_600_000 + lost)

    def test_errors_are_told_apart(self) -> None:
        read = parsed(shown(failures=EACH_KIND))
        assert int(read["connect"]) == sum(
            EACH_KIND[kind] for kind in ("refused", "connect_timeout", "connect_error")
        )
        assert int(read["read"]) == sum(
            count for kind, count in EACH_KIND.items() if kind.startswith(("reset", "closed"))
        )
        assert int(read["timeout"]) == EACH_KIND["timeout"]

    def test_wrong_statuses_are_responses(self) -> None:
        read = parsed(shown(ok=4000, status_classes={"2xx": 4000, "4xx": 1000}))
        assert (read["responses"], read["ok"], read["refused"]) == ("5000", "4000", "1000")

    def test_latency_of_a_share_of_the_responses(self) -> None:
        read = parsed(shown(latency=Latency(1000, *[0.1] * 6)))
        assert (read["samples"], read["share"]) == ("1000", "20.0%")


class TestNotMeasured:
    """A dash, never a zero that looks like a figure."""

    def test_latency_without_samples(self) -> None:
        text = shown(latency=Latency())
        assert text.splitlines()[1] == "  Latency" + "        -" * 5
        assert (parsed(text)["samples"], parsed(text)["share"]) == ("0", "0.0%")

    def test_a_percentile_that_a_driver_does_not_tell(self) -> None:
        text = shown(latency=Latency(5000, 0.1, 0.1, 0.1, 0.1, 0.0, 0.2))
        assert text.splitlines()[1].endswith("   100.00ms        -")

    def test_a_share_of_no_responses(self) -> None:
        text = shown(responses=0, ok=0, status_classes={}, latency=Latency())
        assert parsed(text)["share"] == "-"
        assert parsed(text)["throughput"] == "0.00"

    def test_bytes_that_a_driver_does_not_tell(self) -> None:
        assert parsed(shown(bytes_received=0))["bandwidth"] == "-"
        silent = shown(bytes_received=0, responses=0, ok=0, latency=Latency())
        assert parsed(silent)["bandwidth"] == "0.00"

    @pytest.mark.parametrize(
        ("generator", "opens", "shown_as"),
        [("wrk", 0, "-"), ("gcannon", 12, "12"), ("diagnose", 0, "0")],
    )
    def test_reconnects_that_a_driver_does_not_tell(
        self, generator: str, opens: int, shown_as: str
    ) -> None:
        assert parsed(shown(generator=generator, opens=opens))["reconnects"] == shown_as

    def test_rates_of_no_time(self) -> None:
        read = parsed(shown(duration_s=0.0))
        assert (read["throughput"], read["bandwidth"]) == ("-", "-")

    def test_a_window_without_a_result(self) -> None:
        text = render([analyzed(make_run(load=None))])
        assert all(line.startswith(MARK) for line in text.splitlines())
        assert "gave no result" in text


class TestBelow:
    """What gcannon does not count is said apart from its lines."""

    def test_kinds_that_are_no_errors_of_gcannon(self) -> None:
        text = remarks(shown(failures=EACH_KIND))
        for kind, count in EACH_KIND.items():
            name = f"{kind.replace('_', ' ')} {count}"
            assert (name in text) == (Failure(kind) not in COUNTED), kind

    def test_no_failures(self) -> None:
        assert "failures that are no errors above: none" in remarks(shown())

    def test_right_responses(self) -> None:
        text = remarks(shown(ok=4000, tolerated=7, bodies_checked=4500))
        assert "right responses 4000 of 5000 (800.00 req/s)\n" in text
        assert "bodies compared 4500 of 5000" in text
        assert "other answers that were allowed: 7" in text

    def test_hung_requests(self) -> None:
        text = remarks(shown(unanswered=64, unanswered_stalled_s=3.2, late_responses=5))
        assert "answered later 5, never answered 64 (the longest moved no byte for 3.20 s)" in text

    def test_requests_that_failed_while_draining(self) -> None:
        text = remarks(shown(drain_failures={"reset_before_response": 3, "wrong_body": 9}))
        assert "never answered 0, failed 3" in text

    def test_closes(self) -> None:
        text = remarks(shown(server_closes=40_717, close_announced=40_000, established=60))
        assert "connections 60 of 64 at the end" in text
        assert "after a response 40717, of these announced 40000" in text

    def test_what_is_rare(self) -> None:
        plain = remarks(shown())
        text = remarks(
            shown(
                status_classes={"1xx": 4, "2xx": 4996},
                unanswered_at_close=11,
                overdue=12,
                rate=900.0,
                interrupted=True,
                failures={"closed_before_response": 3, "closed_in_response": 4},
                caveats=("two words",),
            )
        )
        for said in (
            "1xx=4",
            "pipelined behind an announced close, not failed: 11",
            "due in the window and never sent: 12 at 900/s",
            "the run was interrupted",
            "read errors that were the end of a connection: 7",
            "two words",
        ):
            assert said in text
            assert said not in plain

    def test_of_another_generator(self) -> None:
        caveats = ("does not rotate templates", "bodies are not compared")
        text = remarks(shown(generator="wrk", caveats=caveats, bodies_checked=0, established=0))
        assert "the load came from wrk" in text
        for caveat in caveats:
            assert f"wrk: {caveat}" in text
        for untold in ("compared 0", "answered later", "connections 0"):
            assert untold not in text

    def test_the_verdict(self) -> None:
        run = make_run(load=with_failures({"wrong_body": 500}, ok=4500))
        assert "wrong_answers" in remarks(render([analyzed(run)]))

    def test_every_line_is_marked(self) -> None:
        name = "a\nThroughput: 9.99M req/s\r\nb"
        item = analyzed(make_run(load=make_load(), launch=make_launch(name=name)))
        text = render([item])
        theirs = [line for line in text.splitlines() if not line.startswith(MARK)]
        assert len(theirs) == 10
        assert len(re.findall(r"^Throughput", text, re.MULTILINE)) == 1

    def test_no_text_is_a_command_for_the_terminal(self) -> None:
        text = render([everywhere(ESCAPES)])
        assert "\x1b" not in text
        assert "\x9b" not in text


def test_the_command_prints_it(tmp_path: Path) -> None:
    directory = store(tmp_path, make_run())
    result = CliRunner().invoke(app, ["report", str(directory), "--format", "gcannon"])
    assert result.exit_code == 0
    assert parsed(result.stdout)["responses"] == "5000"
    assert str(directory) in remarks(result.stdout)
