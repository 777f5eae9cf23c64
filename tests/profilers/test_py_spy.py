"""py-spy: its words decide, because its exit status does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnose.profilers import py_spy
from diagnose.profilers._collected import Plan, Threads
from diagnose.profilers.py_spy import collect
from diagnose.store.reader import parse_folded

CAPTURED = Path(__file__).parents[1] / "data" / "profilers" / "py_spy.raw"
ONE = Threads(1, 1, 1.0, 1.0)
SAID = (
    "py-spy> Sampling process 49 times a second for 1 seconds. Press Control-C to exit.\n\n"
    "py-spy> Wrote raw flamegraph data to 'out.raw'. Samples: 49 Errors: 3\n"
)


def taken(tmp_path: Path, text: str) -> Path:
    """py-spy's file."""
    out = tmp_path / "py_spy-1"
    out.write_text(text, encoding="utf-8")
    return out


def test_a_captured_profile_is_stacks(tmp_path: Path) -> None:
    out = taken(tmp_path, CAPTURED.read_text())
    collected = collect(out, SAID)
    assert collected.samples == 49
    assert collected.errors == 3
    assert collected.remedy == ""
    stacks = dict(parse_folded(collected.folded))
    assert sorted(stacks.values()) == [1, 48]
    assert {frames[0] for frames in stacks} == {
        "thread (5001): MainThread",
        "thread (5002): burn worker",
    }
    assert not out.exists()


def test_samples_of_many_threads_count_each(tmp_path: Path) -> None:
    """py-spy says how often it looked; a file over several threads holds more."""
    collected = collect(taken(tmp_path, "a 30\nb 40\n"), "Samples: 49 Errors: 0")
    assert collected.samples == 70


def test_without_its_last_words_the_file_counts(tmp_path: Path) -> None:
    collected = collect(taken(tmp_path, "a 45\n"), "")
    assert collected.samples == 45
    assert collected.folded == "a 45\n"


@pytest.mark.parametrize(("count", "works"), [(0, False), (39, False), (40, True)])
def test_few_samples_are_no_profile(tmp_path: Path, count: int, works: bool) -> None:
    """A target that exits gives status 0 and few samples."""
    collected = collect(taken(tmp_path, f"a {count}\n" if count else ""), "")
    assert bool(collected.folded) is works
    assert (f"only {count} samples" in collected.remedy) is not works


@pytest.mark.parametrize(
    "said",
    [
        "Error: Permission denied (os error 13)",
        "Error: Failed to open process\nReason: Operation not permitted (os error 1)",
        "Permission Denied: Try running again with elevated permissions by going 'sudo env'\n"
        "Error: Permission denied",
    ],
)
def test_missing_rights_have_a_remedy(tmp_path: Path, said: str) -> None:
    collected = collect(tmp_path / "none", said)
    assert "ptrace_scope" in collected.remedy
    assert collected.folded == ""


def test_missing_rights_are_told_whatever_was_written(tmp_path: Path) -> None:
    assert "ptrace_scope" in collect(taken(tmp_path, "a 99\n"), "Permission denied").remedy


def test_an_unknown_interpreter_points_to_perf(tmp_path: Path) -> None:
    said = "Error: Failed to find python version from target process"
    assert "--profile perf" in collect(tmp_path / "none", said).remedy


@pytest.mark.parametrize(
    ("said", "quoted"),
    [
        ("py-spy> ...\nError: Failed to suspend process\n", "Error: Failed to suspend process"),
        ("Error: No such process (os error 3)", "No such process"),
        ("", "it said nothing"),
        ("x" * 1000, "x" * 200),
    ],
    ids=["suspend", "process gone", "silent", "long"],
)
def test_no_file_quotes_what_was_said(tmp_path: Path, said: str, quoted: str) -> None:
    collected = collect(tmp_path / "none", said)
    assert collected.remedy.startswith("py-spy gave no profile: ")
    assert quoted in collected.remedy
    assert len(collected.remedy) < 250


def test_bytes_that_are_not_text_do_not_raise(tmp_path: Path) -> None:
    out = tmp_path / "py_spy-1"
    out.write_bytes(b"caf\xe9;handler 50\n")
    assert collect(out, "").samples == 50


@pytest.mark.parametrize("text", ["a 99\nb;handler (app.py:1", "a 99\nno count here\n"])
def test_a_file_that_was_cut_off_gives_its_whole_lines(tmp_path: Path, text: str) -> None:
    assert collect(taken(tmp_path, text), "").samples == 99


@pytest.mark.parametrize(
    ("seconds", "duration"), [(0.2, "1"), (1.4, "1"), (3.0, "3")], ids=["short", "odd", "whole"]
)
def test_command_takes_whole_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, duration: str
) -> None:
    monkeypatch.setattr(py_spy, "_program", lambda: "/opt/py-spy")
    command = py_spy.command(4242, "cpython", seconds, tmp_path / "out")
    assert command[:2] == ["/opt/py-spy", "record"]
    assert command[command.index("--duration") + 1] == duration
    assert command[command.index("--pid") + 1] == "4242"
    assert command[command.index("--output") + 1] == str(tmp_path / "out")


@pytest.mark.parametrize(
    ("threads", "seconds", "hz"),
    [
        pytest.param(0, 3.0, 49, id="gone"),
        pytest.param(1, 3.0, 49, id="one"),
        pytest.param(20, 3.0, 49, id="what it bears"),
        pytest.param(21, 3.0, 47, id="one more"),
        pytest.param(50, 3.0, 20, id="many"),
        pytest.param(512, 3.0, 17, id="enough samples in 3 s"),
        pytest.param(512, 1.5, 25, id="in a whole number of seconds"),
        pytest.param(512, 0.2, 49, id="never more than by default"),
        pytest.param(512, 30.0, 2, id="a long profile needs few"),
    ],
)
def test_more_threads_are_looked_at_less_often(threads: int, seconds: float, hz: int) -> None:
    plan = py_spy.plan(ONE, threads, seconds)
    assert plan.hz == hz
    assert bool(plan.why) is (py_spy.MOST_LOOKS // max(threads, 1) < py_spy.RATE_HZ)


@pytest.mark.parametrize(
    ("threads", "holders"),
    [
        pytest.param(Threads(17, 16, 1.0, 2.5), True, id="a pool that takes turns"),
        pytest.param(Threads(33, 32, 0.07, 0.1), True, id="they wait for each other"),
        pytest.param(Threads(17, 16, 1.8, 2.5), False, id="more than one at a time"),
        pytest.param(Threads(17, 16, 1.0, 15.0), False, id="without the lock, on one core"),
        pytest.param(Threads(17, 2, 1.0, 1.0), False, id="an event loop, and a helper"),
        pytest.param(Threads(17, 0, 0.0, 0.0), False, id="not known"),
    ],
)
def test_where_threads_take_turns_only_the_lock_is_looked_at(
    threads: Threads, holders: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(py_spy, "_program", lambda: "/opt/py-spy")
    plan = py_spy.plan(threads, 1, 3.0)
    assert ("--gil" in py_spy.command(1, "cpython", 3.0, tmp_path, plan)) is holders
    assert ("had the interpreter's lock" in plan.why) is holders


def test_why_the_rate_is_another_one_is_said() -> None:
    assert py_spy.plan(ONE, 50, 3.0).why == (
        "at 20 Hz and not 49, because each look stops the process for 50 threads"
    )
    assert py_spy.plan(ONE, 500, 3.0).why == (
        "each look stops the process for 500 threads: 2 Hz would disturb less than 17 Hz, and give "
        "too few samples in 3.0 s"
    )


def test_the_rate_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(py_spy, "_program", lambda: "/opt/py-spy")
    command = py_spy.command(4242, "cpython", 3.0, tmp_path / "out", Plan(20))
    assert command[command.index("--rate") + 1] == "20"


@pytest.mark.parametrize("program", [None, "/opt/py-spy"])
def test_available_names_the_package(monkeypatch: pytest.MonkeyPatch, program: str | None) -> None:
    monkeypatch.setattr(py_spy, "_program", lambda: program)
    assert ("pip install py-spy" in py_spy.available()) == (program is None)
