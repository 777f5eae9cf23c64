"""`diagnose doctor`: its table, its remedies, its JSON and its exit status."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from diagnose.cli import doctor as command
from diagnose.cli.app import app
from diagnose.cli.console import results_to
from diagnose.server.doctor import Check, Facts, Outcome
from tests.reports.screens import ESCAPES, MARKUP

GOOD = Check("cores", Outcome.OK, "16, split", "why cores")
WARNED = Check("swap", Outcome.WARN, "1.0 GiB used", "why swap", "swapoff -a")
BAD = Check("loopback", Outcome.BAD, "down", "why loopback", "ip link set lo up")
UNKNOWN = Check("clock", Outcome.UNKNOWN, "not readable", "why clock")
HOPELESS = Check("virtual machine", Outcome.WARN, "yes", "why virtual machine")


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nothing of this host is looked at; the seconds that it would be watched."""
    seconds: list[float] = []

    def gather(watch_s: float) -> Facts:
        seconds.append(watch_s)
        return Facts()

    monkeypatch.setattr(command, "gather", gather)
    monkeypatch.setattr(results_to, "width", 80)
    return seconds


def invoke(
    monkeypatch: pytest.MonkeyPatch, *checks: Check, options: tuple[str, ...] = ()
) -> tuple[int, str]:
    """Exit status and standard output of the command on a host with these checks."""
    monkeypatch.setattr(command, "judge", lambda _: checks)
    result = CliRunner().invoke(app, ["doctor", *options])
    return result.exit_code, result.stdout


def test_one_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    status, text = invoke(monkeypatch, GOOD, WARNED, UNKNOWN)
    table = [line.rstrip() for line in text.split("\n\n")[0].splitlines()]
    assert table == [
        "ok       cores  16, split",
        "warn     swap   1.0 GiB used",
        "unknown  clock  not readable",
    ]
    assert status == 0
    assert "VERDICT  nothing here spoils a measurement; 1 warning, 1 unknown" in text


def test_remedies_stand_below_the_worst_first(monkeypatch: pytest.MonkeyPatch) -> None:
    status, text = invoke(monkeypatch, GOOD, WARNED, HOPELESS, BAD)
    below = text.split("\n\n", 1)[1]
    assert below.index("bad loopback\n  why loopback\n  $ ip link set lo up\n") < below.index(
        "warn swap\n  why swap\n  $ swapoff -a\n"
    )
    assert "warn virtual machine\n  why virtual machine\n" in below
    assert below.count("$ ") == 2
    assert "why cores" not in text
    assert status == 4
    assert "VERDICT  a measurement here would be spoiled: loopback; 2 warnings, 0 unknown" in text


def test_a_remedy_is_never_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    remedy = "echo " + " ".join(["performance"] * 30)
    _, text = invoke(monkeypatch, Check("governor", Outcome.WARN, "x", "y", remedy))
    assert f"  $ {remedy}\n" in text


@pytest.mark.parametrize("text", [MARKUP, ESCAPES, "a\nb"])
def test_words_of_others_stay_words(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(results_to, "width", 200)
    _, shown = invoke(monkeypatch, Check("other load", Outcome.BAD, text, text, text))
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    if text == MARKUP:
        assert shown.count(MARKUP) == 3
    if "\n" in text:
        assert shown.count("a b") == 3


@pytest.mark.parametrize(
    ("checks", "status"), [((GOOD, WARNED, UNKNOWN), 0), ((GOOD, BAD), 4), ((), 0)]
)
def test_as_json(monkeypatch: pytest.MonkeyPatch, checks: tuple[Check, ...], status: int) -> None:
    got, text = invoke(monkeypatch, *checks, options=("--json",))
    document = json.loads(text)
    assert got == status
    assert document["schema"] == 1
    assert document["spoiled"] == (status == 4)
    assert [check["name"] for check in document["checks"]] == [check.name for check in checks]
    for check in document["checks"]:
        assert set(check) == {"name", "outcome", "value", "why", "remedy"}
        assert check["outcome"] in {"ok", "warn", "bad", "unknown"}


@pytest.mark.parametrize(("options", "seconds"), [((), 1.0), (("--quick",), 0.0)])
def test_quick_does_not_watch(
    monkeypatch: pytest.MonkeyPatch,
    watched: list[float],
    options: tuple[str, ...],
    seconds: float,
) -> None:
    invoke(monkeypatch, GOOD, options=options)
    assert watched == [seconds]


def test_help_tells_the_exit_status() -> None:
    result = CliRunner().invoke(app, ["doctor", "--help"])
    text = " ".join(result.stdout.split())
    assert result.exit_code == 0
    assert "0: nothing is bad; 4: a measurement here would be spoiled" in text
    assert "--quick" in text
    assert "--json" in text
