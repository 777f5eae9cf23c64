"""What profilers and the kernel say, and whether it means that they work."""

from __future__ import annotations

import struct

import pytest

from diagnose.server.doctor.trials import judge_perf, judge_py_spy, judge_sock_diag

PERF = """\
[ perf record: Woken up 1 times to write data ]
[ perf record: Captured and wrote 0.003 MB perf.data (20 samples) ]
"""
PERF_REFUSED = """\
Error:
No permission to enable cpu-clock event.

Access to performance monitoring and observability operations is limited.
"""
PY_SPY = """\
Process 27200: python -c ...
Python v3.11.7 (/usr/bin/python3.11)

Thread 27200 (active+gil)
    <module> (<string>:2)
"""
PY_SPY_REFUSED = """\
Error: Failed to open process 27200
Reason: Permission Denied: Try running again with elevated permissions by going 'sudo ...'
"""


def test_perf_that_works() -> None:
    attempt = judge_perf(0, PERF)
    assert (attempt.works, attempt.said) == (True, "20 samples")


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        (255, PERF_REFUSED, "No permission to enable cpu-clock event."),
        (0, PERF.replace("20 samples", "0 samples"), "[ perf record: Woken up 1 times"),
        (124, "not over after 6 s", "not over after 6 s"),
        (255, "", "it ended with status 255 and said nothing"),
        (1, "x" * 900, "x" * 160),
    ],
)
def test_perf_that_does_not(status: int, said: str, reason: str) -> None:
    attempt = judge_perf(status, said)
    assert attempt.works is False
    assert attempt.said.startswith(reason)
    assert len(attempt.said) <= 160


@pytest.mark.parametrize("status", [0, 1])
def test_py_spy_that_works(status: int) -> None:
    assert judge_py_spy(status, PY_SPY).works is True


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (PY_SPY_REFUSED, "Reason: Permission Denied"),
        ("Error: Failed to find python version from target process", "Error: Failed to find"),
        ("", "it ended with status 1 and said nothing"),
    ],
)
def test_py_spy_that_does_not(said: str, reason: str) -> None:
    attempt = judge_py_spy(1, said)
    assert attempt.works is False
    assert attempt.said.startswith(reason)


@pytest.mark.parametrize(
    ("reply", "works", "said"),
    [
        (struct.pack("=IHHIIi", 20, 3, 2, 1, 0, 0), True, ""),
        (struct.pack("=IHHII", 88, 20, 2, 1, 0) + bytes(72), True, ""),
        (
            struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -2) + bytes(16),
            False,
            "the kernel answers with error 2",
        ),
        (b"", False, "an answer of 0 bytes"),
        (b"\x14\x00\x00", False, "an answer of 3 bytes"),
    ],
    ids=["none listens", "one listens", "refused", "empty", "cut off"],
)
def test_sock_diag(reply: bytes, works: bool, said: str) -> None:
    attempt = judge_sock_diag(reply)
    assert (attempt.works, attempt.said) == (works, said)
