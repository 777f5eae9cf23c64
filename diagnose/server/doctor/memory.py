"""Memory: what a server that buffers would need, and whether pages go to disk."""

from __future__ import annotations

from diagnose.server.doctor.check import Check, Outcome, untold
from diagnose.server.doctor.cores import NOT_WATCHED
from diagnose.server.doctor.facts import Facts
from diagnose.server.doctor.network import MOST_UPLOADS, UPLOAD_BYTES
from diagnose.units import MIB, format_bytes

# A run stops a server that holds more than this share of what was free.
GUARD_SHARE = 0.8
# Server, load generator and sampler of a small run need so much.
LEAST_BYTES = 512 * MIB
# Some pages of idle programs on disk are ordinary.
SWAP_USED = 64 * MIB


def check_memory(facts: Facts) -> Check:
    """Room for the largest wave of uploads, should the server hold every body."""
    name, memory = "memory", facts.memory
    free = [size for size in (memory.available, memory.cgroup_free) if size is not None]
    if not free:
        return untold(name, "how much memory is free")
    least = min(free)
    guard = int(GUARD_SHARE * least)
    grouped = memory.available is None or least < memory.available
    value = f"{format_bytes(least)} free" + (" in this control group" if grouped else "")
    wanted = MOST_UPLOADS * UPLOAD_BYTES
    load = f"{MOST_UPLOADS} uploads of {UPLOAD_BYTES // MIB} MiB"
    if guard >= wanted:
        why = (
            f"a server is stopped at {GUARD_SHARE:.0%} of it, {format_bytes(guard)}; {load} are "
            f"{format_bytes(wanted)}"
        )
        return Check(name, Outcome.OK, value, why)
    if least < LEAST_BYTES:
        why = (
            f"a run needs {format_bytes(LEAST_BYTES)}: the kernel would end the server or the load"
        )
        return Check(name, Outcome.BAD, value, why, "ps -eo rss,pid,comm --sort=-rss | head")
    most = max(1, guard // UPLOAD_BYTES)
    return Check(
        name,
        Outcome.WARN,
        value,
        f"a server is stopped at {GUARD_SHARE:.0%} of it, {format_bytes(guard)}, and one that "
        f"buffers {load} needs {format_bytes(wanted)}: load it with fewer connections",
        f"diagnose run upload-20mb -c {most} -- COMMAND",
    )


def check_swap(facts: Facts) -> Check:
    """Pages on disk come back in the middle of a measurement."""
    name, memory = "swap", facts.memory
    if memory.swap_total is None or memory.swap_used is None:
        return untold(name, "its swap space")
    if not memory.swap_total:
        return Check(name, Outcome.OK, "none", "no page goes to disk")
    value = f"{format_bytes(memory.swap_used)} of {format_bytes(memory.swap_total)} used"
    if memory.swappiness is not None:
        value += f", swappiness {memory.swappiness}"
    swapped = None if facts.watched is None else facts.watched.swapped
    if swapped:
        return Check(
            name,
            Outcome.BAD,
            f"{value}, {swapped:,} pages moved while watching",
            "the host moves pages to and from the disk right now: every figure depends on it",
            "swapoff -a",
        )
    if memory.swap_used > SWAP_USED:
        return Check(
            name,
            Outcome.WARN,
            value,
            "memory was short before; pages that come back are latency of the server, and RSS "
            "does not count those on disk",
            "swapoff -a",
        )
    moved = f"; {NOT_WATCHED} for pages that move" if swapped is None else "; no page moved"
    return Check(name, Outcome.OK, value, f"little is on disk{moved}")


CHECKS = (check_memory, check_swap)
