"""/proc/PID/limits, as the kernel writes it."""

from __future__ import annotations

import os
import resource

import pytest

from diagnose.server.descriptors import limits, parse_limit

HEADER = "Limit                     Soft Limit           Hard Limit           Units     \n"
OTHER = "Max cpu time              unlimited            unlimited            seconds   \n"
FILES = "Max open files            1024                 524288               files     \n"


def test_the_soft_limit_counts() -> None:
    assert parse_limit(HEADER + OTHER + FILES) == 1024


@pytest.mark.parametrize("cut", range(FILES.index("1024") + 1))
def test_a_line_that_is_cut_off_before_the_number_has_none(cut: int) -> None:
    assert parse_limit(HEADER + FILES[:cut]) is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(HEADER + OTHER, id="another limit"),
        pytest.param(FILES.replace("1024     ", "unlimited"), id="no limit"),
        pytest.param("x" + FILES, id="not at the start of a line"),
    ],
)
def test_no_limit(text: str) -> None:
    assert parse_limit(text) is None


def test_our_own_limit() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert limits([os.getpid()]) == {os.getpid(): soft}


def test_processes_that_are_gone_are_left_out() -> None:
    assert limits([2**22 + 1]) == {}
