"""Words for exit statuses, and text without what a terminal obeys."""

from __future__ import annotations

import signal
import unicodedata

import pytest

from diagnose.plain import SIGKILL, exit_words, printable


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (0, "with exit status 0"),
        (7, "with exit status 7"),
        (137, "with exit status 137"),
        (-9, "killed by SIGKILL"),
        (-11, "killed by SIGSEGV"),
        (-37, "killed by signal 37"),
    ],
)
def test_exit_words(status: int, said: str) -> None:
    assert exit_words(status) == said


def test_signals_have_the_names_of_this_system() -> None:
    assert SIGKILL == signal.SIGKILL
    for number in signal.Signals:
        named = exit_words(-number).removeprefix("killed by ")
        assert named in (number.name, f"signal {number.value}")


def test_characters_that_a_terminal_obeys_are_replaced() -> None:
    every = "".join(map(chr, range(0x250)))
    for before, after in zip(every, printable(every), strict=True):
        obeyed = unicodedata.category(before) == "Cc" and before not in "\t\n"
        assert after == ("\N{REPLACEMENT CHARACTER}" if obeyed else before)


@pytest.mark.parametrize("text", ["", "a\tb\nc", "é 受付 \U0001f600 [red]"])
def test_other_text_is_kept(text: str) -> None:
    assert printable(text) == text
