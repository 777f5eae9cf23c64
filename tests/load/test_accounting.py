"""The kernel's time of receipt out of the ancillary data of a recvmsg."""

from __future__ import annotations

import socket
import struct

import pytest

from diagnose.load.accounting import SO_TIMESTAMPNS, receipt_time

STAMP = struct.pack("qq", 1_700_000_000, 250_000_000)
LEVEL = socket.SOL_SOCKET
CREDENTIALS = (LEVEL, socket.SCM_CREDENTIALS, struct.pack("iii", 1, 2, 3))

CASES = {
    "nothing": ([], None),
    "timestamp": ([(LEVEL, SO_TIMESTAMPNS, STAMP)], 1_700_000_000.25),
    "something_else": ([CREDENTIALS], None),
    "after_something_else": ([CREDENTIALS, (LEVEL, SO_TIMESTAMPNS, STAMP)], 1_700_000_000.25),
    "longer": ([(LEVEL, SO_TIMESTAMPNS, STAMP + b"\xff" * 8)], 1_700_000_000.25),
    "cut_off": ([(LEVEL, SO_TIMESTAMPNS, STAMP[:-1])], None),
    "empty": ([(LEVEL, SO_TIMESTAMPNS, b"")], None),
    "cut_off_then_whole": (
        [(LEVEL, SO_TIMESTAMPNS, STAMP[:8]), (LEVEL, SO_TIMESTAMPNS, STAMP)],
        1_700_000_000.25,
    ),
    "epoch": ([(LEVEL, SO_TIMESTAMPNS, bytes(16))], 0.0),
}


@pytest.mark.parametrize(("ancillary", "seen"), CASES.values(), ids=CASES.keys())
def test_receipt_time(ancillary: list[tuple[int, int, bytes]], seen: float | None) -> None:
    assert receipt_time(ancillary) == seen


def test_the_last_nanosecond_is_not_the_next_second() -> None:
    stamp = struct.pack("qq", 10, 999_999_999)
    seen = receipt_time([(LEVEL, SO_TIMESTAMPNS, stamp)])
    assert seen == pytest.approx(10.999999999, abs=1e-9)
