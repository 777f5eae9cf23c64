"""What every memory profiler gives back."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Held:
    """Collapsed stacks of one process by bytes. records: allocations, samples or classes.

    remedy: what to do when there are none. raw: the profiler's own file, for other tools.
    """

    pid: int
    folded: str
    records: int
    remedy: str = ""
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A command with its environment, as it is to be launched."""

    command: tuple[str, ...]
    environment: Mapping[str, str]


def folded(weights: Mapping[tuple[str, ...], int]) -> str:
    """Collapsed stacks, heaviest first; those without a byte left out."""
    rows = sorted(weights.items(), key=lambda item: -item[1])
    return "".join(
        ";".join(part.replace(";", ":").replace("\n", " ") for part in stack) + f" {count}\n"
        for stack, count in rows
        if count > 0
    )


def run(command: Sequence[str], timeout_s: float) -> tuple[str, str]:
    """What a program printed, and why that is not all: '' when it ended by itself."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"{command[0]} took over {timeout_s:.0f} s"
    except OSError as error:
        return "", f"{command[0]} could not be run: {error.strerror}"
    if done.returncode != 0:
        words = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        return "", (words[-1:] or [f"{command[0]} ended with status {done.returncode}"])[0][:200]
    return done.stdout.decode(errors="replace"), ""
