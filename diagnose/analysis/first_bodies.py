"""The first bodies of all connections: all of them in the server at once, and nothing before them.

An upload begins with a wave: every connection sends its body but for the last byte, and no answer
comes before all are there. What memory holds then is for these bodies; what it holds later may be
for those that were answered: a leak, garbage, a pool.
"""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.analysis.observe import bodies_in_server, memory
from diagnose.model.run import Run
from diagnose.units import MIB

# Below this the buffers that every server has decide.
MIN_BYTES = 32 * MIB
# Measured: 0.06 to 0.13 on servers that stream, 0.93 and more on those that hold bodies.
STREAMED = 0.4


@dataclass(frozen=True, slots=True)
class FirstBodies:
    """held: bytes of bodies that the server had read at most; growth: of its memory by then."""

    held: float
    growth: float

    @property
    def ratio(self) -> float:
        """Bytes of memory for each body byte: about 0 streamed, 1 held, 2 held twice."""
        return self.growth / self.held

    @property
    def streamed(self) -> bool:
        """They added next to nothing: what grew later is not theirs."""
        return self.ratio <= STREAMED


def first_bodies(run: Run) -> FirstBodies | None:
    """None where there was no wave, or it was too small or too short to be seen; and for a server
    that was attached to and had as much memory before: it may hold them in that."""
    wave = run.phase("wave")
    seen = memory(run)
    if wave is None or seen is None:
        return None
    end = wave.ended or wave.started
    rows = [row for row in bodies_in_server(run) if wave.started <= row[0] <= end]
    held = max((row[1] for row in rows), default=0.0)
    if held < MIN_BYTES or (run.manifest.launch.attached and seen.baseline >= held):
        return None
    return FirstBodies(held, max(row[2] for row in rows) - seen.baseline)
