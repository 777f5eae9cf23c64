"""debug_mode: what a server says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from diagnose.analysis.rules.debug_mode import check
from diagnose.model.finding import Verdict
from diagnose.model.run import LogExcerpt, ProcessFacts, Run
from tests.analysis.working import growing, one_file, plain_probe, profile, share_of, with_files
from tests.builders import evidence_of, make_launch, make_run, make_samples


def started(
    *arguments: str,
    executable: str = "/srv/server",
    environment: dict[str, str] | None = None,
    **more: Any,
) -> Run:
    facts = ProcessFacts(4242, executable, arguments or ("./server",), environment or {})
    launch = make_launch(command=("sh", "-c", "exec start"), processes=(facts,))
    return make_run(launch=launch, **more)


@pytest.mark.parametrize(
    "command",
    [
        "uvicorn app:app --reload --port 8080",
        "python -X dev app.py",
        "python3.12 -m flask --app app run --debug",
        "python manage.py runserver 0.0.0.0:8000",
        "npm run dev",
        "/usr/bin/node /app/node_modules/.bin/nodemon server.js",
        "node --inspect=0.0.0.0:9229 server.js",
        "java -agentlib:jdwp=transport=dt_socket,server=y -jar app.jar",
        "cargo run",
        "dotnet watch",
    ],
)
def test_arguments(command: str) -> None:
    answer = check(started(*command.split()))
    assert answer.verdict is Verdict.FOUND
    assert evidence_of(answer)["sign_command"] == command


@pytest.mark.parametrize(
    "command",
    [
        "uvicorn app:app --workers 4",
        "python -m server --fault debug_mode",
        "python /home/dev/debug/app.py --port 8080",
        "./debug-server --debug-port 0",
        "node server.js --dev-assets=off",
        "npm run start",
        "cargo run --release",
        "gunicorn --log-level debug app:app",
        "./server --name reload",
        "java -jar debug.jar",
        "gin serve",
    ],
)
def test_arguments_that_only_look_like_it(command: str) -> None:
    assert check(started(*command.split())).verdict is Verdict.CLEAR


@pytest.mark.parametrize(
    ("executable", "verdict"),
    [
        ("/app/target/debug/server", Verdict.FOUND),
        ("/app/bin/Debug/net8.0/app", Verdict.FOUND),
        ("/app/.build/debug/App", Verdict.FOUND),
        ("/app/target/release/server", Verdict.CLEAR),
        ("/home/debug/server", Verdict.CLEAR),
        ("/usr/bin/python3.11", Verdict.CLEAR),
    ],
)
def test_executables(executable: str, verdict: Verdict) -> None:
    assert check(started(executable=executable)).verdict is verdict


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("FLASK_DEBUG", "1", Verdict.FOUND),
        ("FLASK_DEBUG", "0", Verdict.CLEAR),
        ("APP_DEBUG", "false", Verdict.CLEAR),
        ("NODE_ENV", "development", Verdict.FOUND),
        ("NODE_ENV", "production", Verdict.CLEAR),
        ("ASPNETCORE_ENVIRONMENT", "Development", Verdict.FOUND),
        ("RAILS_ENV", "production", Verdict.CLEAR),
        ("GIN_MODE", "release", Verdict.CLEAR),
        ("PYTHONASYNCIODEBUG", "1", Verdict.FOUND),
        ("XDEBUG_MODE", "off", Verdict.CLEAR),
        ("RUST_LOG", "info", Verdict.CLEAR),
    ],
)
def test_environment(name: str, value: str, verdict: Verdict) -> None:
    answer = check(started(environment={name: value}))
    assert answer.verdict is verdict
    if verdict is Verdict.FOUND:
        assert evidence_of(answer)["sign_environment"] == f"{name}={value}"


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (" * Debug mode: on", Verdict.FOUND),
        (" * Debugger is active!", Verdict.FOUND),
        (" * Debug mode: off", Verdict.CLEAR),
        ("WARNING: This is a development server. Do not use it in a production ...", Verdict.FOUND),
        ("INFO:     Started reloader process [28720] using StatReload", Verdict.FOUND),
        ("INFO:     Started server process [28720]", Verdict.CLEAR),
        ('[GIN-debug] [WARNING] Running in "debug" mode.', Verdict.FOUND),
        ("PHP 8.2.1 Development Server (http://127.0.0.1:8000) started", Verdict.FOUND),
        ("      Hosting environment: Development", Verdict.FOUND),
        ("      Hosting environment: Production", Verdict.CLEAR),
        ("=> Rails 7.1.2 application starting in development", Verdict.FOUND),
        ("* Environment: production", Verdict.CLEAR),
        ("Debugger listening on ws://127.0.0.1:9229/1", Verdict.FOUND),
        ("listening on 8080 (debug endpoints are off)", Verdict.CLEAR),
        ("Listening at: http://127.0.0.1:8000", Verdict.CLEAR),
    ],
)
def test_output(line: str, verdict: Verdict) -> None:
    answer = check(started(log=LogExcerpt(head=("starting", line))))
    assert answer.verdict is verdict
    if verdict is Verdict.FOUND:
        assert line.strip()[:40] in answer.claim


@pytest.mark.parametrize(
    ("response", "verdict"),
    [
        ("HTTP/1.1 200 OK\r\nServer: Werkzeug/3.0.1 Python/3.11\r\n\r\nok", Verdict.FOUND),
        ("HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\nok", Verdict.CLEAR),
        ("HTTP/1.1 404 X\r\n\r\nTraceback (most recent call last):\n", Verdict.FOUND),
        ("HTTP/1.1 404 X\r\n\r\nyou have <code>DEBUG = True</code> in", Verdict.FOUND),
        ("HTTP/1.1 404 X\r\nX-Debug-Token: 1\r\n\r\n", Verdict.FOUND),
        ("HTTP/1.1 404 Not Found\r\n\r\nno such path", Verdict.CLEAR),
        ("", Verdict.CLEAR),
    ],
)
def test_answers(response: str, verdict: Verdict) -> None:
    answer = check(started(probes=(plain_probe(response=response),)))
    assert answer.verdict is verdict


class TestDebugLines:
    """Lines of the debug level under load, where the output grows with the responses."""

    LINE = "2026-04-01 12:00:00 DEBUG request GET / headers="

    def run(self, debug: int, plain: int, each: float = 90.0) -> Run:
        lines = (
            *[f"{self.LINE}{n}" for n in range(debug)],
            *[f"INFO: GET {n}" for n in range(plain)],
        )
        files = one_file("/runs/x/server.log", growing(each))
        return started(
            log=LogExcerpt(head=("starting",), loaded=lines),
            samples=with_files(make_samples(), files),
        )

    @pytest.mark.parametrize(
        ("debug", "plain", "verdict"),
        [
            (40, 0, Verdict.FOUND),
            (20, 20, Verdict.FOUND),
            (19, 21, Verdict.CLEAR),
            (0, 40, Verdict.CLEAR),
            (9, 0, Verdict.CLEAR),
        ],
    )
    def test_half_of_the_lines(self, debug: int, plain: int, verdict: Verdict) -> None:
        assert check(self.run(debug, plain)).verdict is verdict

    def test_lines_that_do_not_come_with_requests_are_no_mode(self) -> None:
        assert check(self.run(40, 0, each=1.0)).verdict is Verdict.CLEAR

    @pytest.mark.parametrize(
        "line",
        [
            "[debug] get /",
            "level=debug msg=x",
            '{"level":"debug","msg":"x"}',
            '{"level":20,"time":1,"msg":"x"}',
            "dbug: Microsoft.AspNetCore",
            "DEBUG:app:request",
            "12:00 TRACE - enter",
        ],
    )
    def test_forms_of_it(self, line: str) -> None:
        files = one_file("/runs/x/server.log", growing(90))
        loaded = tuple(f"{line} {n}" for n in range(20))
        run = started(log=LogExcerpt(loaded=loaded), samples=with_files(make_samples(), files))
        assert check(run).verdict is Verdict.FOUND


@pytest.mark.parametrize(("share", "verdict"), [(0.04, Verdict.CLEAR), (0.06, Verdict.FOUND)])
def test_frames_of_a_debugger(share: float, verdict: Verdict) -> None:
    stacks = share_of("extract_stack (/usr/lib/python3.11/asyncio/format_helpers.py:80)", share)
    assert check(started(profiles=[profile(stacks, "py_spy")])).verdict is verdict


def test_unknown_where_nothing_is_known() -> None:
    run = make_run(launch=make_launch(attached=True, command=()), probes=())
    assert check(run).verdict is Verdict.UNKNOWN
