"""What the server waits for elsewhere: its connections to databases, caches and other services."""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.analysis.observe import usage
from diagnose.analysis.serving import unloaded_latency
from diagnose.model.run import Run
from diagnose.model.samples import PeerSample

# Looks at the connections that make a mean; there are up to two a second, and one at each phase.
MIN_LOOKS = 2
NOT_SEEN = "its connections to others were not looked at"


@dataclass(frozen=True, slots=True)
class Peer:
    """Connections to one other address over the window. connections, waiting: means over the looks;
    at_most: the largest number of connections. timed: the kernel tells when each last sent."""

    address: str
    connections: float
    waiting: float
    at_least: int
    at_most: int
    timed: bool


@dataclass(frozen=True, slots=True)
class Downstream:
    """All others that the server was connected to, the one with most waiting connections first."""

    looks: int
    peers: tuple[Peer, ...]

    @property
    def waiting(self) -> float:
        """Connections that wait for an answer, to all of them."""
        return sum(peer.waiting for peer in self.peers)


def downstream(run: Run) -> Downstream | None:
    """The connections to others in the window; None where they could not be looked at."""
    looks = [
        sample.downstream for sample in run.samples_in("window") if sample.downstream is not None
    ]
    if not looks:
        return None
    rows: dict[str, list[PeerSample]] = {}
    for seen in looks:
        for peer in seen:
            rows.setdefault(peer.address, []).append(peer)
    surely = _longer_than_a_tick(run, looks)
    peers = [
        Peer(
            address=address,
            connections=sum(peer.connections for peer in found) / len(looks),
            waiting=sum(max(0.0, peer.waiting + surely * peer.undecided) for peer in found)
            / len(looks),
            at_least=min(peer.connections for peer in found) if len(found) == len(looks) else 0,
            at_most=max(peer.connections for peer in found),
            timed=all(peer.waiting >= 0 for peer in found),
        )
        for address, found in rows.items()
    ]
    ranked = sorted(peers, key=lambda peer: (-peer.waiting, -peer.connections, peer.address))
    return Downstream(len(looks), tuple(ranked))


def _longer_than_a_tick(run: Run, looks: list[tuple[PeerSample, ...]]) -> float:
    """The part of the connections that sent and received in the same tick of the clock that waits.

    Such a one may have received an answer and asked again, or have asked and been answered within
    the tick. Where a request on the idle server waits for longer than a tick, an answer takes
    longer, and they all wait; elsewhere half of them is the guess.
    """
    ticks = [peer.tick_ms for seen in looks for peer in seen if peer.tick_ms > 0]
    alone, used, load = unloaded_latency(run), usage(run), run.load
    if not ticks or alone is None or used is None or load is None or not load.rps:
        return 0.5
    worked = used.server_cores / load.rps
    return 1.0 if alone - worked >= min(ticks) / 1e3 else 0.5
