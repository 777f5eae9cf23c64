"""Prints the allocations of a memray file at its high-water mark as collapsed stacks, in bytes.

A program of its own (`python -m diagnose.profilers.memory._memray_read FILE`): a large file takes
seconds and memory, and a damaged one must not end diagnose.
"""

from __future__ import annotations

import sys

from diagnose.profilers.memory._held import folded

MAX_FRAMES = 64
# What the server imports is thousands of stacks of some kilobytes.
LEAST_BYTES = 4096


def main(path: str) -> int:
    """Read one file; 1 when that fails."""
    import memray

    weights: dict[tuple[str, ...], int] = {}
    rest = 0
    try:
        reader = memray.FileReader(path)
        for record in reader.get_high_watermark_allocation_records(merge_threads=True):
            if record.size < LEAST_BYTES:
                rest += record.size
                continue
            frames = [
                f"{name} ({file}:{line})" for name, file, line in record.stack_trace(MAX_FRAMES)
            ]
            stack = ("process", *reversed(frames)) if frames else ("process", "[no Python frame]")
            weights[stack] = weights.get(stack, 0) + record.size
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if rest:
        weights["process", "[small allocations]"] = rest
    sys.stdout.write(folded(weights))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
