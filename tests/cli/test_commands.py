"""Every command: its help, its results, and how it fails."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

import diagnose
from diagnose.analysis.engine import rules
from diagnose.cli import demo, main
from diagnose.cli import run as run_command
from diagnose.cli.app import app
from diagnose.cli.console import Progress, complain, results_to
from diagnose.errors import (
    DiagnoseError,
    HostLimit,
    Interrupted,
    ServerFailed,
    UsageError,
    WorkerFailed,
)
from diagnose.load.requests import prepare_for
from diagnose.model.run import Run
from diagnose.model.scenario import Protocol
from diagnose.recorder import Live, RunOptions
from diagnose.reports import charts
from diagnose.scenario.catalog import shipped
from diagnose.store.reader import read_run
from tests.builders import (
    GIB,
    MIB,
    make_launch,
    make_run,
    make_samples,
    one_thread,
    upload_run,
)
from tests.reports.screens import ESCAPES, MARKUP
from tests.store.stored import store

COMMANDS = (
    *("run", "attach", "probe", "report", "scenarios"),
    *("findings", "doctor", "selftest", "reference", "demo"),
    *("investigate", "compare", "minimize", "bundle", "history"),
)
runner = CliRunner()


def words(text: str) -> str:
    """Without the line breaks of the layout."""
    return " ".join(text.split())


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are not cut, whatever terminal the tests run in."""
    monkeypatch.setattr(results_to, "width", 200)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes its time, and has tests of its own."""
    monkeypatch.setattr(charts, "pictures", lambda _: {"cpu.png": b"\x89PNG"})


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> list[RunOptions]:
    """Nothing is started here; the runs that would be."""
    wanted: list[RunOptions] = []

    def record(options: RunOptions, _: object) -> Path:
        wanted.append(options)
        raise AssertionError("a run was started")

    for module in (run_command, demo):
        monkeypatch.setattr(module, "record", record)
    monkeypatch.setattr("os.execv", lambda *_: pytest.fail("a server was started"))
    return wanted


def invoke(*arguments: str) -> str:
    """Standard output of a command that works."""
    result = runner.invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


class TestHelp:
    """Every command says what it is for."""

    @pytest.mark.parametrize("command", COMMANDS)
    def test_of_a_command(self, command: str) -> None:
        text = invoke(command, "--help")
        assert f"diagnose {command}" in text or f" {command} [" in text
        assert "--help" in text

    def test_of_all(self) -> None:
        text = invoke("--help")
        for command in COMMANDS:
            assert f"\n  {command} " in text

    def test_every_command_is_tested_here(self) -> None:
        names = {command.name for command in app.registered_commands}
        assert names == set(COMMANDS)

    def test_the_short_options_are_those_of_the_neighbors(self) -> None:
        text = invoke("run", "--help")
        for option in ("-c,", "-d,", "-p,", "-r,", "-o,", "--json"):
            assert option in text

    def test_version(self) -> None:
        assert invoke("--version") == f"diagnose {diagnose.__version__}\n"


class TestScenarios:
    """What can be sent."""

    def test_all_are_listed(self) -> None:
        text = invoke("scenarios")
        for name in shipped():
            assert name in text

    @pytest.mark.parametrize("name", sorted(shipped()))
    def test_one_shows_its_requests(self, name: str) -> None:
        text = invoke("scenarios", name)
        scenario = shipped()[name]
        counts = Counter(template.name for template in scenario.templates)
        for template in scenario.templates:
            count = counts[template.name]
            times = f" ({count} times in the rotation)" if count > 1 else ""
            assert f"\n{template.name}{times}\n" in text
            if scenario.protocol is Protocol.H2:
                assert f"  :method {template.method}, :path {template.target}\n" in text
            elif template.method != "RAW":
                assert f"  {template.method} {template.target} HTTP/1.1" in text
        assert text.count("  expects ") == len(counts)

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("noisy", "expects any answer, or none"),
            ("noisy", "Content-Length: 999"),
            ("api-4", "the server gets 4 CPUs"),
            ("json-tls", "port 8081, TLS"),
            ("echo-ws", "then messages: 'Hello from diagnose'"),
            ("echo-ws", "expects each message back"),
            ("compression", "at least 5000 items"),
            ("compression", "Content-Encoding gzip, at most 500000 bytes on the wire"),
            ("db", "at most 50 database rows, prices 10 to 50"),
            ("static", "the same body each time"),
            ("upload-20mb", "(20.0 MiB of body)"),
        ],
    )
    def test_one_says_what_is_unusual(self, name: str, said: str) -> None:
        assert said in invoke("scenarios", name)

    def test_what_a_file_of_ones_own_does(self, tmp_path: Path) -> None:
        path = tmp_path / "own.toml"
        path.write_text(
            'title = "t"\nconnections = [1]\nrate = 500\nramp_s = 2\nsend_rate = 1024\n'
            '[[request]]\nname = "a"\ntarget = "/"\nbody = "0123456789"\nsending = "half"\n'
        )
        text = invoke("scenarios", str(path))
        assert "500 requests/s, whatever the server does, connections opened over 2 s" in text
        assert "sends 1.0 KiB/s on each connection" in text
        assert "(only the half is sent)" in text

    @pytest.mark.parametrize("name", sorted(shipped()))
    def test_raw_is_what_is_sent_byte_for_byte(self, name: str) -> None:
        scenario = shipped()[name]
        if scenario.protocol is Protocol.H2:
            with pytest.raises(UsageError, match="the bytes of HTTP/2 are the driver's"):
                runner.invoke(app, ["scenarios", name, "--raw"], catch_exceptions=False)
            return
        result = runner.invoke(app, ["scenarios", name, "--raw"], catch_exceptions=False)
        requests = [
            prepare_for(scenario, template, f"127.0.0.1:{scenario.port}")
            for template in dict.fromkeys(scenario.templates)
        ]
        assert len(result.stdout_bytes) == sum(
            len(request.opening + request.head)
            + (request.payload.wire_length if request.payload else 0)
            for request in requests
        )
        rest = result.stdout_bytes
        for request in requests:
            head = request.opening + request.head
            assert rest.startswith(head)
            rest = rest[len(head) :]
            if request.payload:
                unit = request.payload.unit
                repeats = -(-request.payload.length // len(unit))
                body = (unit * repeats)[: request.payload.length] + request.payload.tail
                assert rest.startswith(body)
                rest = rest[len(body) :]
        assert rest == b""

    def test_raw_of_one_request(self) -> None:
        result = runner.invoke(
            app, ["scenarios", "baseline", "--raw", "--request", "post_content_length"]
        )
        assert result.stdout_bytes == (
            b"POST /baseline11?a=13&b=42 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
            b"Content-Length: 2\r\n\r\n20"
        )

    def test_raw_shows_values_as_they_were_written(self, tmp_path: Path) -> None:
        path = tmp_path / "own.toml"
        path.write_text(
            'title = "t"\nconnections = [1]\n'
            '[[request]]\nname = "a"\ntarget = "/?a={RAND:1:9}&b={SEQ:3}"\n'
        )
        result = runner.invoke(app, ["scenarios", str(path), "--raw"])
        assert result.stdout_bytes.startswith(b"GET /?a={RAND:1:9}&b={SEQ:3} HTTP/1.1\r\n")

    def test_a_bare_name_is_the_newest_round(self) -> None:
        assert "upload@2026-04" in invoke("scenarios", "upload")

    def test_as_json(self) -> None:
        listed = json.loads(invoke("scenarios", "--json"))
        assert [entry["name"] for entry in listed] == list(shipped())
        (one,) = json.loads(invoke("scenarios", "upload-20mb", "--json"))
        assert one["templates"][0]["body_length"] == 20 * MIB

    @pytest.mark.parametrize("title", ["all of [json]", "GET [/json]"])
    def test_a_title_in_brackets_is_text(self, tmp_path: Path, title: str) -> None:
        path = tmp_path / "own.toml"
        path.write_text(
            f'title = "{title}"\nconnections = [1]\n[[request]]\nname = "a"\ntarget = "/"\n'
        )
        assert title in invoke("scenarios", str(path))


class TestFindings:
    """What can be found."""

    def test_all_are_listed(self) -> None:
        text = invoke("findings")
        for name in rules():
            assert name in text

    @pytest.mark.parametrize("name", sorted(rules()))
    def test_one_is_explained(self, name: str) -> None:
        text = words(invoke("findings", name))
        documentation = words(rules()[name].__doc__ or "").replace("`", "")
        assert documentation[:60] in text

    def test_a_page_of_advice_follows(self) -> None:
        text = invoke("findings", "single_threaded")
        for section in ("What it means", "Confirm by hand", "What to do", "When it may be wrong"):
            assert section in text

    def test_as_json(self) -> None:
        listed = json.loads(invoke("findings", "--json"))
        assert {entry["id"] for entry in listed} == set(rules())
        assert all(set(entry) == {"id", "kind", "question", "page"} for entry in listed)
        (one,) = json.loads(invoke("findings", "crashed", "--json"))
        assert one["kind"] == "symptom"
        assert "The server, or one of its processes, ended under load." in one["page"]


class TestReport:
    """The reports again, from the directory alone."""

    @pytest.fixture
    def directory(self, tmp_path: Path) -> Path:
        """A stored run of a single-threaded server."""
        samples = make_samples(one_thread(), host_busy=(0.98, 0.05, 0.16, 0.16))
        return store(tmp_path, make_run(samples=samples))

    def test_on_the_terminal(self, directory: Path) -> None:
        text = words(invoke("report", str(directory)))
        assert "VERDICT cause: single_threaded; symptom: low_cpu" in text
        assert "FOUND single_threaded" in text
        assert (directory / "findings.json").is_file()

    @pytest.mark.parametrize("arguments", [("--json",), ("--format", "json")])
    def test_as_json(self, directory: Path, arguments: tuple[str, ...]) -> None:
        read = json.loads(invoke("report", str(directory), *arguments))
        (one,) = read["runs"]
        assert one["run"] == str(directory)
        assert one["findings"][0]["id"] == "single_threaded"

    def test_as_markdown(self, directory: Path) -> None:
        text = invoke("report", str(directory), "--format", "markdown")
        assert text == f"{directory / 'report.md'}\n"
        page = (directory / "report.md").read_text()
        assert "## Found: `single_threaded` (cause)" in page
        assert "![cpu](cpu.png)" in page
        assert (directory / "cpu.png").read_bytes() == b"\x89PNG"

    def test_as_html(self, directory: Path) -> None:
        text = invoke("report", str(directory), "--format", "html")
        assert text == f"{directory / 'report.html'}\n"
        assert "single_threaded" in (directory / "report.html").read_text()

    def test_a_page_beside_another_run(self, directory: Path, tmp_path: Path) -> None:
        other = store(tmp_path / "other", make_run())
        invoke("report", str(directory), "--format", "html", "--against", str(other))
        page = (directory / "report.html").read_text()
        assert str(other) in page
        assert "1.00x" in page

    def test_the_page_of_an_investigation(self, directory: Path) -> None:
        """Made from its directory and from its first run."""
        place = directory.parent
        document = {
            "schema": 1,
            "base": str(directory),
            "complete": True,
            "seconds": 40.0,
            "decisions": [
                {
                    "id": "single_threaded",
                    "outcome": "refuted",
                    "experiment": "cores",
                    "suspected": "one thread",
                    "predicted": "no faster",
                    "seen": "twice as fast",
                }
            ],
        }
        (place / "investigation.json").write_text(json.dumps(document))
        for start in (place, directory):
            text = invoke("report", str(start), "--format", "html")
            assert text == f"{start / 'report.html'}\n"
            assert "twice as fast" in (start / "report.html").read_text()

    def test_as_a_comment(self, directory: Path, tmp_path: Path) -> None:
        other = store(tmp_path, make_run())
        text = invoke(
            *("report", str(directory), "--format", "pr-comment", "--against", str(other))
        )
        assert "| baseline | 64 | 1,000 |" in text
        assert "+0.0%" in text
        assert "- `single_threaded` (cause; baseline, 64 connections)" in text

    def test_against_is_for_comments_and_pages(self, directory: Path) -> None:
        arguments = ["report", str(directory), "--against", str(directory)]
        with pytest.raises(UsageError, match="pr-comment, profile-change, html"):
            runner.invoke(app, arguments, catch_exceptions=False)
        twice = [*arguments, "--against", str(directory), "--format", "html"]
        with pytest.raises(UsageError, match="one run with --against"):
            runner.invoke(app, twice, catch_exceptions=False)

    def test_the_schema_is_printed(self) -> None:
        assert json.loads(invoke("report", "--schema"))["properties"]["schema"] == {"const": 1}

    def test_of_two_runs(self, directory: Path, tmp_path: Path) -> None:
        other = store(tmp_path, make_run(connections=512))
        read = json.loads(invoke("report", str(directory), str(other), "--json"))
        assert [run["connections"] for run in read["runs"]] == [64, 512]

    def test_of_a_run_that_was_cut_off(self, directory: Path) -> None:
        samples = directory / "samples.jsonl"
        samples.write_bytes(samples.read_bytes()[:-7])
        (directory / "load.json").unlink()
        text = words(invoke("report", str(directory)))
        assert "the measurement is not valid: too_few_samples" in text

    def test_of_a_run_that_may_not_be_written(
        self, monkeypatch: pytest.MonkeyPatch, directory: Path
    ) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "write_bytes", refuse)
        assert "single_threaded" in invoke("report", str(directory))

    def test_markup_of_the_server_is_shown(self, tmp_path: Path) -> None:
        run = make_run(launch=make_launch(name=MARKUP), notes=(MARKUP,))
        text = words(invoke("report", str(store(tmp_path, run))))
        assert text.count(MARKUP) == 2


def call_main(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[object, str, str]:
    """Exit status, standard output and standard error of the program."""
    monkeypatch.setattr(sys, "argv", ["diagnose", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capsys.readouterr()
    return caught.value.code, out, err


class TestRefused:
    """Wrong arguments end with status 2 and one message, before anything is started."""

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("scenarios", "baselin"), "no scenario 'baselin'; did you mean 'baseline'?"),
            (("scenarios", "missing.toml"), "cannot read the scenario missing.toml"),
            (("findings", "nope"), "no finding 'nope'; known: "),
            (("report", "/nowhere"), "/nowhere is not a run directory"),
            (("report", "/nowhere", "--format", "pdf"), "no format 'pdf'; known: terminal,"),
            (("reference", "--fault", "nope"), "no fault 'nope'; known: "),
            (("run", "nope", "--", "./s"), "no scenario 'nope'"),
            (("run", "baseline"), "no command: write the server's command behind `--`"),
            (("run", "baseline", "-c", "0", "--", "./s"), "1 to 60000 connections, not 0"),
            (
                ("run", "baseline", "-d", "0", "--", "./s"),
                "-d takes more than 0 and up to 3600 seconds",
            ),
            (("run", "baseline", "--port", "70000", "--", "./s"), "--port takes 0 to 65535"),
            (("run", "baseline", "--host", "10.0.0.1", "--", "./s"), "not a loopback address"),
            (("run", "baseline", "--load-workers", "0", "--", "./s"), "must be at least 1"),
            (("run", "baseline", "--memory-limit", "x", "--", "./s"), "not a size: 'x'"),
            (("run", "baseline", "--load-cpus", "x", "--", "./s"), "not a CPU list: 'x'"),
            (("run", "upload-20mb", "-p", "2", "--", "./s"), "uploads are not pipelined"),
            (
                ("attach", "baseline", "--pid", "1", "--url", "http://10.0.0.1"),
                "not a loopback address",
            ),
            (
                ("attach", "baseline", "--pid", "1", "--url", "ftp://127.0.0.1"),
                "--url takes http://ADDRESS:PORT or https://ADDRESS:PORT",
            ),
            (("scenarios", "--raw"), "--raw shows one scenario"),
            (("scenarios", "baseline", "--raw", "--request", "x"), "no request 'x'; known: get,"),
            (("run", "--", "./s"), "no command: write the server's command behind `--`"),
            (("run", "1|0|", "--", "./s"), "has 3 fields, not 5"),
            (("run", "1|0||64|nope", "--", "./s"), "no endpoint 'nope'"),
            (("run", "16|0||64|upload", "--", "./s"), "uploads are not pipelined"),
            (("run", "--raw", "gone.raw", "--", "./s"), "--raw: cannot read 'gone.raw'"),
            (("run", "echo-ws", "--raw", "tests", "--", "./s"), "--raw"),
            (("run", "baseline", "--rate", "0", "--", "./s"), "--rate takes more than 0"),
            (("run", "baseline", "--send-rate", "x", "--", "./s"), "not a size: 'x'"),
            (
                ("attach", "baseline", "--pid", "1", "--url", "http://127.0.0.1:x"),
                "--url http://127.0.0.1:x",
            ),
            (("demo", "-c", "x"), "-c takes numbers"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_with_one_message(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        started: list[RunOptions],
        arguments: tuple[str, ...],
        said: str,
    ) -> None:
        status, out, err = call_main(monkeypatch, capsys, *arguments)
        assert status == 2
        assert err.startswith("diagnose: ")
        assert said in words(err)
        assert "Traceback" not in err
        assert out == ""
        assert started == []

    @pytest.mark.parametrize(
        "arguments", [("nope",), ("scenarios", "--nope"), ("attach", "baseline"), ("report",)]
    )
    def test_what_the_parser_refuses_has_the_same_status(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        arguments: tuple[str, ...],
    ) -> None:
        status, out, err = call_main(monkeypatch, capsys, *arguments)
        assert status == 2
        assert "Usage:" in err
        assert out == ""


class TestMain:
    """Errors are printed once, without a traceback, and end with their status."""

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (ServerFailed("it died"), 3),
            (WorkerFailed("it died"), 4),
            (HostLimit("it died"), 2),
            (Interrupted("it died"), 130),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
    )
    def test_every_error_has_its_status(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        error: DiagnoseError,
        status: int,
    ) -> None:
        def record(*_: object) -> Path:
            error.add_note("runs/x")
            raise error

        monkeypatch.setattr(run_command, "record", record)
        got, out, err = call_main(monkeypatch, capsys, "run", "baseline", "--", "./s")
        assert got == status
        assert words(err) == "diagnose: it died what was recorded is in runs/x"
        assert out == ""

    def test_a_mistake_of_ours_is_not_hidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "argv", ["diagnose", "run", "baseline", "--", "./s"])
        with pytest.raises(AssertionError, match="a run was started"):
            main()

    def test_a_command_that_works_ends_with_zero(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        status, out, err = call_main(monkeypatch, capsys, "scenarios", "get")
        assert status == 0
        assert "GET" in out
        assert err == ""


class TestRun:
    """What `run` and `attach` make of their arguments, and of the runs that they get."""

    def record_as(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *runs: Run
    ) -> list[RunOptions]:
        """Let the recorder store these runs, one after the other."""
        wanted: list[RunOptions] = []

        def record(options: RunOptions, _: object) -> Path:
            wanted.append(options)
            return store(tmp_path, runs[len(wanted) - 1])

        monkeypatch.setattr(run_command, "record", record)
        monkeypatch.setattr(demo, "record", record)
        return wanted

    def test_one_run_for_each_count(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
    ) -> None:
        blank = make_run(samples=(), ticks=())
        wanted = self.record_as(monkeypatch, tmp_path, blank, blank)
        arguments = ("run", "upload-20mb", "-c", "64,256", "-d", "3", "--memory-limit", "4G")
        status, out, _ = call_main(
            monkeypatch, capsys, *arguments, "--port", "0", "--json", "--", "./s", "--port", "$PORT"
        )
        assert status == 4
        assert len(json.loads(out)["runs"]) == 2
        assert [options.connections for options in wanted] == [64, 256]
        for options in wanted:
            assert options.command == ("./s", "--port", "$PORT")
            assert options.scenario.duration_s == 3.0
            assert options.memory_limit == 4 * GIB
            assert (options.host, options.port) == ("127.0.0.1", 0)
            assert options.attach_pid is None

    def test_runs_take_turns_over_the_counts(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
    ) -> None:
        runs = [make_run(samples=(), ticks=(), connections=count) for count in (64, 256) * 2]
        wanted = self.record_as(monkeypatch, tmp_path, *runs)
        arguments = ("run", "baseline", "-c", "64,256", "--runs", "2", "--json", "--", "./s")
        _, out, _ = call_main(monkeypatch, capsys, *arguments)
        assert [options.connections for options in wanted] == [64, 256, 64, 256]
        assert [len(group["runs"]) for group in json.loads(out)["repeats"]] == [2, 2]

    @pytest.mark.parametrize("count", ["0", "101"])
    def test_runs_are_bounded(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], count: str
    ) -> None:
        status, _, err = call_main(
            monkeypatch, capsys, "run", "baseline", "--runs", count, "--", "./s"
        )
        assert status == 2
        assert f"--runs takes 1 to 100, not {count}" in err

    def test_an_interrupted_run_is_the_last(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
    ) -> None:
        stopped = make_run(samples=(), ticks=(), state="interrupted")
        wanted = self.record_as(monkeypatch, tmp_path, stopped)
        status, _, err = call_main(
            monkeypatch, capsys, "run", "baseline", "-c", "1,2,3", "--json", "--", "./s"
        )
        assert status == 130
        assert len(wanted) == 1
        assert "interrupted" in err

    @pytest.mark.parametrize(
        ("url", "host", "port", "target"),
        [
            ("http://127.0.0.1:9000", "127.0.0.1", 9000, None),
            ("127.0.0.1:9000/", "127.0.0.1", 9000, None),
            ("http://localhost", "127.0.0.1", 80, None),
            ("http://[::1]:9000/x?y=1", "::1", 9000, "/x"),
            ("https://127.0.0.1:8443", "127.0.0.1", 8443, None),
            ("https://127.0.0.1", "127.0.0.1", 443, None),
        ],
    )
    def test_attach_takes_an_address(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        url: str,
        host: str,
        port: int,
        target: str | None,
    ) -> None:
        wanted = self.record_as(monkeypatch, tmp_path, make_run(samples=(), ticks=()))
        result = runner.invoke(app, ["attach", "get", "--pid", "42", "--url", url, "--json"])
        assert result.exit_code == 4
        (options,) = wanted
        assert (options.host, options.port, options.attach_pid) == (host, port, 42)
        assert options.scenario.tls is url.startswith("https")
        assert options.command == ()
        if target is not None:
            assert {template.target for template in options.scenario.templates} == {target}

    @pytest.mark.parametrize(
        ("arguments", "command"),
        [
            (("run", "--raw", "{raw}", "--", "./s", "--x"), ("./s", "--x")),
            (("run", "--raw", "{raw}", "--", "./baseline"), ("./baseline",)),
            (("run", "baseline", "--raw", "{raw}", "--", "./s"), ("./s",)),
            (("run", "4|10||64,128|", "--raw", "{raw}", "--", "./s"), ("./s",)),
        ],
    )
    def test_raw_templates_with_and_without_a_scenario(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        arguments: tuple[str, ...],
        command: tuple[str, ...],
    ) -> None:
        (tmp_path / "mine.raw").write_bytes(b"GET /mine HTTP/1.1\r\n\r\n")
        wanted = self.record_as(monkeypatch, tmp_path, make_run(samples=(), ticks=()))
        filled = [word.format(raw=tmp_path / "mine.raw") for word in arguments]
        result = runner.invoke(app, [filled[0], "--json", *filled[1:]])
        assert result.exit_code == 4, result.output
        (options,) = wanted
        assert options.command == command
        (template,) = options.scenario.templates
        assert (template.name, template.target) == ("mine", "/mine")
        if "|" in arguments[1]:
            scenario = options.scenario
            assert (scenario.pipeline, scenario.requests_per_connection) == (4, 10)
            assert options.connections == 64

    @pytest.mark.parametrize(
        ("arguments", "port"),
        [(("json-tls",), 8081), (("json-tls", "--port", "9000"), 9000), (("baseline",), 8080)],
    )
    def test_the_port_is_the_scenarios_unless_it_is_given(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        arguments: tuple[str, ...],
        port: int,
    ) -> None:
        wanted = self.record_as(monkeypatch, tmp_path, make_run(samples=(), ticks=()))
        runner.invoke(app, ["run", *arguments, "--json", "--", "./s"])
        assert [options.port for options in wanted] == [port]

    def test_attach_takes_raw_templates(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "mine.raw").write_bytes(b"GET /mine HTTP/1.1\r\n\r\n")
        wanted = self.record_as(monkeypatch, tmp_path, make_run(samples=(), ticks=()))
        address = ["--pid", "42", "--url", "http://127.0.0.1:80"]
        raw = ["--raw", str(tmp_path / "mine.raw")]
        result = runner.invoke(app, ["attach", "baseline", *raw, *address, "--json"])
        assert result.exit_code == 4, result.output
        assert [options.scenario.name for options in wanted] == ["baseline@2026-04"]
        assert wanted[0].scenario.templates[0].target == "/mine"

    def test_attach_with_raw_templates_needs_no_scenario(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """As `run`: its help says that --raw stands for the scenario."""
        (tmp_path / "mine.raw").write_bytes(b"GET /mine HTTP/1.1\r\n\r\n")
        wanted = self.record_as(monkeypatch, tmp_path, make_run(samples=(), ticks=()))
        address = ["--pid", "42", "--url", "http://127.0.0.1:80"]
        raw = ["--raw", str(tmp_path / "mine.raw")]
        result = runner.invoke(app, ["attach", *raw, *address, "--json"])
        assert result.exit_code == 4, result.output
        assert [options.scenario.name for options in wanted] == ["raw"]

    def test_attach_checks_its_workers_as_run_does(self) -> None:
        arguments = ["--pid", "1", "--url", "http://127.0.0.1", "--load-workers", "0"]
        assert isinstance(
            runner.invoke(app, ["run", "get", *arguments[4:], "--", "./s"]).exception, UsageError
        )
        assert isinstance(runner.invoke(app, ["attach", "get", *arguments]).exception, UsageError)

    @pytest.mark.parametrize(
        ("faulty", "status"),
        [
            pytest.param(upload_run(growth=900 * MIB), 0, id="the fault is found"),
            pytest.param(make_run(), 1, id="the fault is missed"),
        ],
    )
    def test_demo_ends_with_whether_both_came_out(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, faulty: Run, status: int
    ) -> None:
        wanted = self.record_as(monkeypatch, tmp_path, make_run(ticks=()), faulty)
        result = runner.invoke(app, ["demo", "-o", str(tmp_path)])
        assert result.exit_code == status, result.output
        assert [options.name for options in wanted] == ["healthy", "buffered_body"]
        assert ("exit statuses" in result.stdout) == bool(status)

    def test_reference_lists_its_faults(self) -> None:
        text = invoke("reference", "--list")
        assert "single_process" in text
        assert "buffered_body" in text


class TestConsole:
    """Progress and notes go to standard error."""

    def test_phases_are_plain_lines_off_a_terminal(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with Progress() as progress:
            progress.phase("launch")
            progress.live(Live("window", 1.0, 10.0, 0, 1, 0.5, MIB, 0.0))
            progress.phase_done("launch", 1.25, "ready [bold]after[/bold] 0.3 s")
            progress.note("a note")
        out, err = capsys.readouterr()
        assert out == ""
        lines = err.splitlines()
        assert lines[0].split() == ["launch", "1.2", "s", "ready", "[bold]after[/bold]", "0.3", "s"]
        assert lines[1].strip() == "a note"

    def test_quiet_says_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Progress(quiet=True) as progress:
            progress.phase_done("launch", 1.25, "ready")
            progress.note("a note")
        assert capsys.readouterr() == ("", "")

    def test_markup_in_an_error_is_shown(self, capsys: pytest.CaptureFixture[str]) -> None:
        complain(ServerFailed(f"it said {MARKUP}"))
        assert MARKUP in capsys.readouterr().err

    def test_escape_codes_in_an_error_are_not_sent(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        complain(ServerFailed(f"its last lines: {ESCAPES}"))
        assert "\x1b" not in capsys.readouterr().err


def test_a_stored_run_is_what_the_tests_think(tmp_path: Path) -> None:
    assert read_run(store(tmp_path, make_run())).manifest.state == "complete"
