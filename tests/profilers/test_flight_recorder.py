"""A JVM's recording as collapsed stacks, and a recording that is ended whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from diagnose.profilers import _flight_recording, flight_recorder
from diagnose.profilers._told import Refused
from diagnose.store.reader import parse_folded


def event(*methods: str, truncated: bool = False, thread: str | None = "main") -> dict[str, Any]:
    """A sample, as jfr prints it; methods: `Class.method:line`, innermost first."""
    frames = []
    for text in methods:
        name, _, line = text.partition(":")
        holder, _, method = name.rpartition(".")
        frames.append(
            {
                "method": {
                    "type": {"classLoader": None, "name": holder, "hidden": False},
                    "name": method,
                    "descriptor": "()V",
                },
                "lineNumber": int(line or -1),
                "bytecodeIndex": 3,
                "type": "JIT compiled",
            }
        )
    values = {
        "startTime": "2026-11-25T19:00:00.000000000Z",
        "sampledThread": None if thread is None else {"osName": "java", "javaName": thread},
        "stackTrace": {"truncated": truncated, "frames": frames},
        "state": "STATE_RUNNABLE",
    }
    return {"type": "jdk.ExecutionSample", "values": values}


def printed(*events: dict[str, Any]) -> str:
    """What `jfr print --json` prints."""
    return json.dumps({"recording": {"events": list(events)}})


HANDLE = event("acme.Server.render:40", "acme.Server.handle:12", "java.lang.Thread.run:833")


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """A recording was written; the path that `command` was given."""
    out = tmp_path / "flight_recorder-1"
    folder = tmp_path / "flight_recorder-1.d"
    folder.mkdir()
    (folder / "recording.jfr").write_bytes(b"FLR\0")
    return out


def prints(monkeypatch: pytest.MonkeyPatch, text: str, errors: str = "") -> None:
    """jfr prints this."""

    def run(arguments: Sequence[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        assert arguments[:3] == ["jfr", "print", "--json"]
        return subprocess.CompletedProcess(arguments, 0, text.encode(), errors.encode())

    monkeypatch.setattr(subprocess, "run", run)


class TestCollect:
    """What jfr prints as collapsed stacks."""

    def test_methods_have_their_class_and_line(
        self, taken: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = event("Main.<init>", thread=None)
        prints(monkeypatch, printed(*[HANDLE] * 40, other))
        collected = flight_recorder.collect(taken, "")
        assert dict(parse_folded(collected.folded)) == {
            (
                "main",
                "java.lang.Thread.run (Thread:833)",
                "acme.Server.handle (Server:12)",
                "acme.Server.render (Server:40)",
            ): 40,
            ("thread", "Main.<init>"): 1,
        }
        assert (collected.samples, collected.remedy, collected.remark) == (41, "", "")
        assert list(taken.parent.iterdir()) == []

    def test_stacks_that_were_cut_off_are_counted(
        self, taken: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prints(monkeypatch, printed(*[HANDLE] * 40, event("A.b:1", truncated=True)))
        assert flight_recorder.collect(taken, "").remark.startswith("1 stacks lack")

    @pytest.mark.parametrize("count", [0, 39])
    def test_few_samples_are_no_profile(
        self, taken: Path, monkeypatch: pytest.MonkeyPatch, count: int
    ) -> None:
        prints(monkeypatch, printed(*[HANDLE] * count, {"type": "", "values": {}}))
        collected = flight_recorder.collect(taken, "")
        assert collected.folded == ""
        assert f"only {count} samples" in collected.remedy

    def test_a_recording_that_cannot_be_read_is_quoted(
        self, taken: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prints(monkeypatch, "", "jfr print: could not read recording\n")
        assert "could not read recording" in flight_recorder.collect(taken, "").remedy
        assert list(taken.parent.iterdir()) == []

    def test_a_print_that_takes_too_long_is_given_up(
        self, taken: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def run(arguments: Sequence[str], **_: object) -> None:
            raise subprocess.TimeoutExpired(list(arguments), 30.0)

        monkeypatch.setattr(subprocess, "run", run)
        assert "took over 30 s" in flight_recorder.collect(taken, "").remedy
        assert list(taken.parent.iterdir()) == []


class Jcmd:
    """jcmd, which is told what to answer to each command."""

    def __init__(self, out: Path, **answers: str) -> None:
        self.asked: list[str] = []
        self._out = out
        self._answers = answers

    def __call__(self, arguments: Sequence[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        verb = arguments[2]
        self.asked.append(verb)
        said = self._answers.get(verb.replace(".", "_"), "")
        if said == "hangs":
            raise subprocess.TimeoutExpired(list(arguments), 10.0)
        if verb == "JFR.start":
            assert self._out.with_suffix(".jfc").read_text().count("10 ms") == 1
        if verb == "JFR.stop" and not said:
            self._out.write_bytes(b"FLR\0")
        return subprocess.CompletedProcess(arguments, bool(said), said.encode())


@pytest.fixture(autouse=True)
def _interrupt() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def recorded(monkeypatch: pytest.MonkeyPatch, jcmd: Jcmd, out: Path) -> str:
    """What was said of a recording of this process."""
    monkeypatch.setattr(subprocess, "run", jcmd)
    monkeypatch.setattr(_flight_recording, "handles", lambda pid, number: True)
    return _flight_recording.main([str(os.getpid()), "0", str(out), "100"])


def test_a_recording_is_started_and_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "recording.jfr"
    jcmd = Jcmd(out)
    assert recorded(monkeypatch, jcmd, out) == ""
    assert jcmd.asked == ["JFR.start", "JFR.stop"]
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"JFR_start": "hangs"}, "did not answer jcmd within 10 s"),
        ({"JFR_stop": "java.io.IOException: No space left on device"}, "no space left in"),
        ({"JFR_start": "Could not start recording, not able to read settings"}, "not able to read"),
        ({"JFR_start": "java.io.IOException: Operation not permitted"}, "user of the JVM"),
        (
            {"JFR_start": "IllegalArgumentException: Unknown diagnostic command"},
            "without Flight Recorder",
        ),
        (
            {"JFR_start": "com.sun.tools.attach.AttachNotSupportedException: Unable to open"},
            "does not answer as a JVM does (-Xrs, or none): try --profile perf",
        ),
    ],
)
def test_a_recording_that_fails_is_ended_and_its_settings_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], said: str
) -> None:
    out = tmp_path / "recording.jfr"
    jcmd = Jcmd(out, **answers)
    assert said in recorded(monkeypatch, jcmd, out)
    assert jcmd.asked[-1] == "JFR.stop"
    assert not out.with_suffix(".jfc").exists()


def test_a_recording_that_is_not_here_is_in_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "recording.jfr"
    jcmd = Jcmd(out)
    monkeypatch.setattr(Path, "exists", lambda path: path != out)
    assert "in a container" in recorded(monkeypatch, jcmd, out)


def test_a_process_that_is_gone(tmp_path: Path) -> None:
    said = _flight_recording.main([str(2**22 + 1), "0", str(tmp_path / "out.jfr"), "100"])
    assert said == "the process was gone"
    assert list(tmp_path.iterdir()) == []


def test_attaching_that_is_off_is_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_flight_recording, "_words", lambda pid: ["-XX:+DisableAttachMechanism"])
    with pytest.raises(Refused, match="start it without"):
        _flight_recording.record(7, 0.0, tmp_path / "out.jfr", 100)


def test_a_process_that_sigquit_would_end_is_not_attached_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jcmd = Jcmd(tmp_path / "out.jfr")
    monkeypatch.setattr(subprocess, "run", jcmd)
    said = _flight_recording.main([str(os.getpid()), "0", str(tmp_path / "out.jfr"), "100"])
    assert "try --profile perf" in said
    assert jcmd.asked == []


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (("jcmd", "jfr"), ""),
        (("jcmd",), "jfr is not installed: they come with a JDK"),
        ((), "jcmd and jfr are not installed"),
    ],
)
def test_available_names_the_package(
    monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name if name in there else None)
    assert flight_recorder.available().startswith(said)
    assert bool(flight_recorder.available()) is bool(said)
