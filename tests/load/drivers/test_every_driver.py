"""What the recorder relies on in every driver, whatever its program printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnose.errors import UsageError, WorkerFailed
from diagnose.load import drivers
from diagnose.load.drivers import DriverOutputError, DriverReport
from diagnose.scenario.catalog import shipped
from tests.load.drivers.captured import FOLDER, output, scenario

NAMES = drivers.names()
TEXTS = sorted(path.name for path in FOLDER.iterdir() if path.suffix in (".txt", ".json"))
GARBAGE = [
    "",
    "\n",
    "\0\x1b[31m\ufffd",
    "{}",
    '{"summary": {"total": -1}, "statusCodeDistribution": {}, "errorDistribution": {}}',
    '{"summary": {"total": 1}, "statusCodeDistribution": {"": 1}, "errorDistribution": {}}',
    '{"summary": {"total": 1}, "statusCodeDistribution": {"200": -1}, "errorDistribution": {}}',
    "\ud800{\ud800}",
    "9" * 5000 + " requests in 1.00s, " + "9" * 5000 + " responses",
    "finished in 1.00s",
]


def parse(name: str, text: str, log: str = "") -> DriverReport | None:
    """The report, None when the driver says that it cannot be read."""
    try:
        return drivers.driver(name).parse(text, log)
    except DriverOutputError:
        return None


def sound(report: DriverReport) -> bool:
    """Nothing negative, and no more statuses than responses."""
    return (
        min(report.responses, report.duration_s, *report.status.values(), 0) == 0
        and sum(report.status.values()) <= report.responses
        and min(report.errors.values(), default=1) > 0
        and report.latency.samples <= report.responses
    )


def test_the_drivers_of_the_issue_are_there() -> None:
    assert NAMES == ["gcannon", "h2load", "oha", "wrk"]


def test_a_driver_that_is_not_there_is_a_wrong_argument() -> None:
    with pytest.raises(UsageError, match=r"no driver 'ab'; there are gcannon, h2load, oha, wrk"):
        drivers.driver("ab")


@pytest.mark.parametrize("name", NAMES)
def test_a_program_that_is_not_on_path_is_said_with_the_next_step(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    driver = drivers.driver(name)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert driver.INSTALL in drivers.missing(driver)
    fake = tmp_path / driver.PROGRAM
    fake.write_text("#!/bin/sh\n")
    fake.chmod(0o755)
    assert drivers.missing(driver) == ""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", TEXTS)
def test_text_cut_anywhere_gives_a_report_or_the_error_of_drivers(name: str, text: str) -> None:
    whole = output(text)
    # Everywhere near both ends, and at some hundred places between them.
    places = {*range(200), *range(0, len(whole), 1 + len(whole) // 100), len(whole) + 1}
    places |= set(range(max(0, len(whole) - 300), len(whole)))
    for length in sorted(places):
        report = parse(name, whole[:length])
        assert report is None or sound(report), whole[:length]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", TEXTS)
def test_only_its_own_text_is_a_report(name: str, text: str) -> None:
    own = text.startswith(name) and text != "wrk_refused.txt" and text != "h2load_hanging.txt"
    assert (parse(name, output(text)) is not None) is own


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", GARBAGE)
def test_garbage_is_the_error_of_drivers(name: str, text: str) -> None:
    with pytest.raises(DriverOutputError):
        drivers.driver(name).parse(text, text)


@pytest.mark.parametrize("name", NAMES)
def test_the_error_shows_the_first_lines_and_ends_the_program_as_a_failed_worker(name: str) -> None:
    said = "".join(f"\x1b[1mline {number}\n" for number in range(20))
    with pytest.raises(WorkerFailed) as caught:
        drivers.driver(name).parse(said)
    message = str(caught.value)
    assert message.startswith(f"{name} gave no report")
    assert "line 5" in message
    assert "line 6" not in message
    assert "\x1b" not in message


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("known", shipped())
def test_every_scenario_is_refused_with_a_reason_or_has_a_command(
    name: str, known: str, tmp_path: Path
) -> None:
    driver, wanted = drivers.driver(name), shipped()[known]
    judgement = driver.judge(wanted, 16)
    if judgement.refusal:
        assert judgement.refusal.startswith("it ")
        assert judgement.caveats == ()
        return
    assert "response bodies are not checked" in judgement.caveats
    arguments = driver.command(wanted, 16, 2.0, "127.0.0.1", 8080, tmp_path, 2)
    assert arguments[0] == driver.PROGRAM
    assert any("127.0.0.1:8080" in word for word in arguments) or (
        "127.0.0.1:8080" in (tmp_path / "urls").read_text()
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_ipv6_address_has_brackets(name: str, tmp_path: Path) -> None:
    arguments = drivers.driver(name).command(scenario(), 4, 1.0, "::1", 8080, tmp_path, 2)
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "http://[::1]:8080/" in " ".join(arguments) + written


@pytest.mark.parametrize("name", ["gcannon", "oha"])
def test_a_driver_that_was_never_run_says_so(name: str) -> None:
    caveats = " ".join(drivers.driver(name).judge(scenario(), 4).caveats)
    assert f"written from documentation: {name} itself was not run" in caveats
