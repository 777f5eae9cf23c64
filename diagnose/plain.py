"""Words for what came from elsewhere: exit statuses, and text that a terminal must not obey."""

from __future__ import annotations

# Source: signal(7), the numbers of x86 and ARM.
SIGKILL = 9
_SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    SIGKILL: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
    24: "SIGXCPU",
    25: "SIGXFSZ",
    31: "SIGSYS",
}
# C0 but tab and newline, DEL, and C1: a terminal takes these for commands (ECMA-48).
_CONTROL = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160))}
del _CONTROL[9], _CONTROL[10]


def exit_words(status: int) -> str:
    """How a process ended, from its status: `with exit status 7`, `killed by SIGSEGV`."""
    if status >= 0:
        return f"with exit status {status}"
    return f"killed by {_SIGNALS.get(-status, f'signal {-status}')}"


def printable(text: str) -> str:
    """The text without control characters but tab and newline: safe to show on a terminal."""
    return text.translate(_CONTROL)
