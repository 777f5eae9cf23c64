"""Runs a command without huge pages: `... _small_pages COMMAND...`.

Where the kernel gives a huge page, 2 MiB cost one fault as 4 KiB do, and the number of faults tells
nothing. Source: prctl(2), PR_SET_THP_DISABLE: inherited by children, and preserved by execve.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_THP_DISABLE = 41


def main(command: list[str]) -> None:
    """Becomes the command.

    Raises: OSError when there is no such program.
    """
    # Refused by kernels without huge pages, where there is nothing to forbid.
    ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
