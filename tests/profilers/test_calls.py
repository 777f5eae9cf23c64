"""System calls as perf stat counts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnose.profilers import _calls
from diagnose.profilers._calls import CALLS, TOTAL, collect, command, parse

CAPTURED = """\
# started on Wed Nov 25 04:13:18 2026

0,,syscalls:sys_enter_recvfrom,1227549,100.00,,
7,,syscalls:sys_enter_read,1227549,100.00,,
<not counted>,,syscalls:sys_enter_write,0,100.00,,
144,,raw_syscalls:sys_enter,1227549,100.00,,
"""


def test_captured_output() -> None:
    assert parse(CAPTURED) == {"read": 7, TOTAL: 144}


@pytest.mark.parametrize("text", ["", "\n", "Error: no permission\n", "7,,", "x,,syscalls:a\n"])
def test_what_is_no_count_is_left_out(text: str) -> None:
    assert parse(text) == {}


def test_cut_off_anywhere_nothing_is_raised_or_added() -> None:
    whole = parse(CAPTURED)
    for cut in range(len(CAPTURED)):
        assert set(parse(CAPTURED[:cut]).values()) <= {*whole.values(), 1, 14}


def test_the_file_is_read_once(tmp_path: Path) -> None:
    out = tmp_path / "calls"
    out.write_text(CAPTURED)
    assert collect(out) == {"read": 7, TOTAL: 144}
    assert not out.exists()
    assert collect(out) == {}


def test_only_events_of_this_kernel_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("read", "epoll_pwait"):
        (tmp_path / f"sys_enter_{name}").mkdir()
    monkeypatch.setattr(_calls, "TRACEPOINTS", tmp_path)
    words = command(42, 3.0, tmp_path / "out")
    events = words[words.index("--event") + 1]
    assert events == "raw_syscalls:sys_enter,syscalls:sys_enter_read,syscalls:sys_enter_epoll_pwait"
    assert words[words.index("--pid") + 1] == "42"


def test_where_the_events_cannot_be_listed_all_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_calls, "TRACEPOINTS", tmp_path / "no")
    words = command(42, 3.0, tmp_path / "out")
    assert words[words.index("--event") + 1].count("sys_enter_") == len(CALLS)
