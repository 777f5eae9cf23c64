"""Becomes a candidate: `python -m benchmarks._serve NAME PORT`.

Apart from the measurement, whose modules would count as memory of the server.
"""

from __future__ import annotations

import sys

from benchmarks._candidates import CANDIDATES

if __name__ == "__main__":
    CANDIDATES[sys.argv[1]].serve(int(sys.argv[2]))
