"""The command line in a forked process."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from diagnose.cli import forked


def replaced(monkeypatch: pytest.MonkeyPatch, main: object) -> None:
    monkeypatch.setattr(forked, "main", main)


def test_arguments_environment_streams_and_status_are_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def main() -> None:
        os.write(1, f"{sys.argv[1:]} {os.environ['ONE']} {os.getsid(0) == os.getpid()}".encode())
        print("an error", file=os.fdopen(2, "w", closefd=False), flush=True)
        sys.exit(4)

    replaced(monkeypatch, main)
    before = list(sys.argv)
    ended = forked.run(["run", "x y"], {"ONE": "1"}, 10.0)
    assert ended == forked.Ended(4, "['run', 'x y'] 1 True", "an error\n")
    assert sys.argv == before
    assert "ONE" not in os.environ


def test_much_output_on_both_streams_does_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    def main() -> None:
        for _ in range(20):
            os.write(2, b"e" * 50_000)
            os.write(1, b"o" * 50_000)

    replaced(monkeypatch, main)
    ended = forked.run([], {}, 10.0)
    assert ended is not None
    assert (ended.status, len(ended.stdout), len(ended.stderr)) == (0, 1_000_000, 1_000_000)


def test_one_that_is_killed_has_the_signal_as_status(monkeypatch: pytest.MonkeyPatch) -> None:
    replaced(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGKILL))
    ended = forked.run([], {}, 10.0)
    assert ended is not None
    assert ended.status == -signal.SIGKILL


@pytest.mark.parametrize("heeds", [True, False])
def test_one_that_does_not_end_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, heeds: bool
) -> None:
    def main() -> None:
        if not heeds:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        (tmp_path / "pid").write_text(str(os.getpid()))
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            (tmp_path / "interrupted").touch()

    replaced(monkeypatch, main)
    monkeypatch.setattr(forked, "END_PATIENCE_S", 2.0 if heeds else 0.1)
    assert forked.run([], {}, 0.2) is None
    assert (tmp_path / "interrupted").exists() == heeds
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_an_unforeseen_error_is_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def main() -> None:
        raise ValueError("unforeseen")

    replaced(monkeypatch, main)
    ended = forked.run([], {}, 10.0)
    assert ended is not None
    assert ended.status == 1
    assert "ValueError: unforeseen" in ended.stderr
