"""Which signals a process handles: the default action of most of them ends it."""

from __future__ import annotations

import re
from pathlib import Path
from signal import Signals

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
