"""Takes a core for itself, as another program on the machine would, until its parent ends.

python cpu_hog.py SECONDS: and never for longer than that.
"""

from __future__ import annotations

import os
import sys
import time


def main(seconds: float) -> None:
    """Counts; looks at the clock and at its parent now and then."""
    parent = os.getppid()
    end = time.monotonic() + seconds
    while time.monotonic() < end and os.getppid() == parent:
        for _ in range(100_000):
            pass


if __name__ == "__main__":
    main(float(sys.argv[1]))
