"""Signals: which ones a process handles (most end it otherwise), and that which ends a profile."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from signal import Signals
from types import FrameType

from diagnose.profilers._told import Refused


def handles(pid: int, number: Signals) -> bool:
    """The process has a handler for a signal.

    Source: proc(5), /proc/PID/status: SigCgt, signals that are caught, bit 0 for number 1.

    Raises: Refused when the process is gone.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        raise Refused("the process was gone") from None
    match = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return match is not None and bool(int(match[1], 16) >> (number - 1) & 1)


def stopped_by_signal() -> list[int]:
    """From now on SIGINT does not end this process: the list is filled when one came."""
    stopped: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        stopped.append(number)

    signal.signal(signal.SIGINT, handle)
    return stopped
