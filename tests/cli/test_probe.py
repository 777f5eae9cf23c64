"""`diagnose probe`: what is asked where, what is printed, and how it ends. No server is started."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from diagnose.cli import probe as command
from diagnose.cli import probe_target
from diagnose.cli.app import app
from diagnose.cli.console import results_to
from diagnose.errors import DiagnoseError, ServerFailed, UsageError
from diagnose.load.validation.check import Way
from diagnose.model.scenario import Protocol
from diagnose.model.validation import CheckResult, Event, Excerpt, Exchange, Outcome
from diagnose.recorder.probing import ProbeEnd, ProbeOptions
from diagnose.scenario.catalog import shipped

FREE = range(40_000, 40_100)
SERVER = ("--", "./server", "$PORT")
PASSED = CheckResult("upload", "17 bytes", "/upload", Outcome.PASS)
EXCHANGE = Exchange(
    *(8080, Outcome.FAIL, "status 404", "status 2xx"),
    (Event(0.0, True, Excerpt(b"POST /upload", b"", 12)),),
    (404,),
)
MISSING = CheckResult(
    *("upload", "48 random bytes", "/upload", Outcome.FAIL, "status 404"), 0.1, (EXCHANGE,)
)


class Probed:
    """In place of the server room and the recorder: what was wanted, and what comes of it."""

    def __init__(self) -> None:
        self.options: list[ProbeOptions] = []
        self.results: Sequence[CheckResult] = (PASSED,)
        self.end: ProbeEnd | DiagnoseError = ProbeEnd(False)

    def __call__(self, options: ProbeOptions, told: Callable[[CheckResult], None]) -> ProbeEnd:
        self.options.append(options)
        assert options.log.parent.is_dir()
        for result in self.results:
            told(result)
        if isinstance(self.end, DiagnoseError):
            raise self.end
        return self.end

    @property
    def ids(self) -> list[str]:
        """Of the checks that were wanted."""
        return [check.id for check in self.options[-1].checks]

    @property
    def groups(self) -> set[str]:
        """Of the checks that were wanted."""
        return {check.group for check in self.options[-1].checks}


@pytest.fixture(autouse=True)
def probed(monkeypatch: pytest.MonkeyPatch) -> Probed:
    """No server, and every port is free."""
    seen = Probed()
    free = iter(FREE)
    monkeypatch.setattr(command, "probe_server", seen)
    monkeypatch.setattr(probe_target.ports_room, "check_free", lambda *_: None)
    monkeypatch.setattr(probe_target.ports_room, "free_port", lambda _: next(free))
    monkeypatch.setattr(results_to, "width", 200)
    return seen


def invoke(*arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    result = CliRunner().invoke(app, ["probe", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


# -- which checks --------------------------------------------------------------------------------


def test_all_is_the_whole_contract(probed: Probed) -> None:
    assert invoke("all", *SERVER)[0] == 0
    assert len(probed.ids) > 60
    assert {"baseline", "json@2026-03", "json@2026-04", "static", "json-h2c"} <= probed.groups


def test_all_of_a_round(probed: Probed) -> None:
    invoke("all@2026-03", *SERVER)
    assert "json@2026-03" in probed.groups
    assert "json@2026-04" not in probed.groups


@pytest.mark.parametrize(
    ("scenario", "groups"),
    [
        ("baseline", {"baseline"}),
        ("limited-conn", {"baseline"}),
        ("json", {"json@2026-04"}),
        ("json@2026-03", {"json@2026-03"}),
        ("mixed", {"baseline", "json@2026-03", "db", "upload", "compression"}),
        ("get", {"get"}),
        ("1|10||512,4096|", {"limited-conn@2026-04", "baseline@2026-04"}),
    ],
)
def test_a_scenario_is_asked_about_itself(probed: Probed, scenario: str, groups: set[str]) -> None:
    invoke(scenario, *SERVER)
    assert probed.groups <= groups
    assert probed.groups


def test_a_file_is_asked_its_own_requests(probed: Probed, tmp_path: Path) -> None:
    path = tmp_path / "baseline.toml"
    path.write_text('title = "t"\nconnections = [1]\n[[request]]\nname = "a"\ntarget = "/x"\n')
    invoke(str(path), *SERVER)
    assert probed.ids == [
        "baseline/a",
        "baseline/a-again-on-the-connection",
        "baseline/a-in-pieces",
    ]


def test_a_path_of_ones_own(probed: Probed) -> None:
    invoke("get", "--path", "/hello", *SERVER)
    assert {check.endpoint for check in probed.options[-1].checks} == {"/hello"}
    invoke("get", "--url", "http://127.0.0.1:8080/there")
    assert {check.endpoint for check in probed.options[-1].checks} == {"/there"}


def test_only_some(probed: Probed) -> None:
    invoke("all", "--only", "upload/17-bytes, echo-ws", *SERVER)
    assert probed.groups == {"upload", "echo-ws"}
    assert len(probed.ids) == 5


def test_the_list_starts_nothing(probed: Probed) -> None:
    status, text, _ = invoke("upload", "--list")
    assert status == 0
    assert text.splitlines()[0] == "upload/17-bytes"
    assert probed.options == []


# -- which ports ---------------------------------------------------------------------------------


def test_the_port_is_in_command_and_options(probed: Probed) -> None:
    invoke("all", *SERVER)
    (options,) = probed.options
    assert (options.port, options.command) == (8080, ("./server", "8080"))
    assert options.target.ports == {Way.HTTP: 8080}
    invoke("all", "--port", "0", *SERVER)
    assert probed.options[-1].command == ("./server", str(FREE[0]))


def test_more_ports_by_option_or_by_name(probed: Probed) -> None:
    invoke("all", "--tls-port", "9443", *SERVER, "$TLS_PORT", "${H2C_PORT}", "$OTHER_PORT")
    (options,) = probed.options
    assert options.command == ("./server", "8080", "9443", str(FREE[0]), "$OTHER_PORT")
    assert options.target.ports == {Way.HTTP: 8080, Way.TLS: 9443, Way.H2C: FREE[0]}
    assert dict(options.others) == {"TLS_PORT": 9443, "H2C_PORT": FREE[0]}


@pytest.mark.parametrize(
    ("scenario", "port", "ways", "https"),
    [
        ("json-tls", 8081, {Way.HTTP, Way.TLS}, True),
        ("baseline-h2", 8443, {Way.H2}, False),
        ("json-h2c", 8082, {Way.H2C}, False),
    ],
)
def test_a_scenario_with_a_port_of_its_own(
    probed: Probed, scenario: str, port: int, ways: set[Way], https: bool
) -> None:
    invoke(scenario, *SERVER)
    (options,) = probed.options
    assert options.port == port
    assert set(options.target.ports) == ways
    assert set(options.target.ports.values()) == {port}
    assert options.target.https is https


def test_a_port_of_its_own_may_be_another(probed: Probed) -> None:
    invoke("json-h2c", "--h2c-port", "9082", *SERVER)
    (options,) = probed.options
    assert options.target.ports == {Way.HTTP: 8080, Way.H2C: 9082}
    # Readiness is asked over HTTP/1.1 then.
    assert options.scenario.protocol is Protocol.HTTP


@pytest.mark.parametrize(
    ("url", "address", "ports", "https"),
    [
        ("http://127.0.0.1:9000", "127.0.0.1", {Way.HTTP: 9000}, False),
        ("localhost:9000", "127.0.0.1", {Way.HTTP: 9000}, False),
        ("http://[::1]:9000/", "::1", {Way.HTTP: 9000}, False),
        ("https://127.0.0.1", "127.0.0.1", {Way.HTTP: 443, Way.TLS: 443}, True),
    ],
)
def test_a_server_that_runs_already(
    probed: Probed, url: str, address: str, ports: dict[Way, int], https: bool
) -> None:
    assert invoke("all", "--url", url)[0] == 0
    (options,) = probed.options
    assert options.command == ()
    assert (options.target.address, options.target.ports) == (address, ports)
    assert (options.target.https, options.scenario.tls) == (https, https)
    assert options.ready_timeout_s == 5.0


# -- usage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no scenario"),
        (("all",), "no command"),
        (("upload",), "no command"),
        (("nonsense", *SERVER), "no scenario 'nonsense'"),
        (("all@2025-01", *SERVER), "no round '2025-01'"),
        (("all", "--only", "uplod", *SERVER), "did you mean 'upload'"),
        (("all", "--only", ",", *SERVER), "names no check"),
        (("upload", "--only", "baseline", *SERVER), "no check 'baseline' here"),
        (("all", "--path", "/x", *SERVER), "know their own paths"),
        (("all", "--url", "http://127.0.0.1:1/x"), "know their own paths"),
        (("all", "--url", "http://127.0.0.1:1", *SERVER), "either --url"),
        (("all", "--url", "ftp://127.0.0.1:1"), "--url takes http://"),
        (("all", "--url", "http://127.0.0.1:99999"), "--url http://127.0.0.1:99999: "),
        (("all", "--url", "http://127.0.0.1:1", "--port", "2"), "--port is for a server"),
        (("all", "--url", "http://10.0.0.1:80"), "not a loopback address"),
        (("all", "--url", "http://example.org"), "is not an address"),
        (("all", "--host", "10.0.0.1", *SERVER), "not a loopback address"),
        (("all", "--port", "70000", *SERVER), "--port takes 0 to 65535"),
        (("all", "--tls-port", "-1", *SERVER), "--tls-port takes 0 to 65535"),
        (("all", "--url", "http://127.0.0.1:1", "--h2-port", "0"), "--h2-port takes 1 to 65535"),
        (("all", "--timeout", "0", *SERVER), "--timeout takes more than 0"),
        (("all", "--ready-timeout", "-1", *SERVER), "--ready-timeout takes more than 0"),
        (("all", "--only", "json-tls", *SERVER), "nothing can be asked: no port"),
        (("json-tls", "--url", "http://127.0.0.1:8080"), "--tls-port names it"),
    ],
)
def test_usage(probed: Probed, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        invoke(*arguments)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2
    assert probed.options == []


def test_an_address_that_is_not_loopback_may_be_allowed(probed: Probed) -> None:
    assert invoke("all", "--url", "http://10.0.0.1:80", "--allow-remote")[0] == 0
    assert probed.options[0].target.address == "10.0.0.1"


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_scenario_can_be_probed(probed: Probed, name: str) -> None:
    assert invoke(name, *SERVER)[0] == 0
    assert probed.ids


# -- what is printed, and how it ends ------------------------------------------------------------


def test_all_passed(probed: Probed) -> None:
    status, text, errors = invoke("upload", *SERVER)
    assert status == 0
    assert text.split()[:4] == ["pass", "upload", "17", "bytes"]
    assert "VERDICT  1 passed" in text
    assert errors == ""


def test_a_refusal_is_shown_once(probed: Probed) -> None:
    probed.results = (PASSED, MISSING, MISSING)
    status, text, _ = invoke("upload", *SERVER)
    assert status == 1
    assert text.count("> POST /upload") == 1
    assert text.count("(as above)") == 1
    assert "VERDICT  2 failed (upload 2); 1 passed" in text


def test_a_warning_is_no_failure(probed: Probed) -> None:
    probed.results = (CheckResult("upload", "x", "/upload", Outcome.WARN, "careful"),)
    status, text, _ = invoke("upload", *SERVER)
    assert status == 0
    assert "careful" in text


@pytest.mark.parametrize("statuses", [(500,), (503,), ()])
def test_the_servers_last_lines_explain_its_own_failures(
    probed: Probed, statuses: tuple[int, ...]
) -> None:
    exchange = Exchange(8080, Outcome.ERROR, "closed", "", (), statuses)
    probed.results = (CheckResult(*("upload", "x", "/x", Outcome.ERROR, "d"), 0.1, (exchange,)),)
    probed.end = ProbeEnd(False, ("Traceback", "ValueError: \x1b[31m"))
    _, _, errors = invoke("upload", *SERVER)
    assert "  | ValueError" in errors
    assert "\x1b" not in errors


def test_a_refusal_needs_no_explanation(probed: Probed) -> None:
    probed.results = (MISSING,)
    probed.end = ProbeEnd(False, ("GET /upload 404",))
    assert invoke("upload", *SERVER)[2] == ""


def test_json_is_all_that_is_printed(probed: Probed) -> None:
    probed.results = (PASSED, MISSING)
    status, text, _ = invoke("upload", "--json", *SERVER)
    parsed = json.loads(text)
    assert status == 1
    assert (parsed["state"], parsed["counts"]["fail"]) == ("complete", 1)
    assert parsed["ports"] == {"HTTP/1.1": 8080}
    assert parsed["never_answered"] == ["/upload"]
    assert parsed["checks"][1]["exchanges"][0]["events"][0]["start"] == "POST /upload"


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interrupted_probe_keeps_what_was_seen(probed: Probed, as_json: bool) -> None:
    probed.end = ProbeEnd(True)
    status, text, _ = invoke("upload", *["--json"] * as_json, *SERVER)
    assert status == 130
    assert '"state": "interrupted"' in text if as_json else "not made" in text


@pytest.mark.parametrize("as_json", [False, True])
def test_a_server_that_dies_ends_with_3_and_what_was_seen(probed: Probed, as_json: bool) -> None:
    probed.results = (PASSED, MISSING)
    probed.end = ServerFailed("the server ended with exit status 7")
    result = CliRunner().invoke(app, ["probe", "upload", *["--json"] * as_json, *SERVER])
    assert isinstance(result.exception, ServerFailed)
    assert result.exception.exit_code == 3
    assert '"state": "failed"' in result.stdout if as_json else "VERDICT  1 failed" in result.stdout


def test_a_server_that_never_was_ready_has_no_verdict(
    probed: Probed, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: list[object] = []
    monkeypatch.setattr(results_to, "print", lambda *parts, **_: printed.append(parts))
    probed.results = ()
    probed.end = ServerFailed("the server was not ready after 30 s")
    with pytest.raises(ServerFailed):
        invoke("upload", *SERVER)
    assert printed == []
