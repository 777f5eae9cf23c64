"""What no request of the scenario asks: a path that is not there, and other lengths of a body."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from diagnose.load.asking import Site, askable
from diagnose.load.refused import refusals
from diagnose.load.sizes import sizes
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import Protocol, Scenario


def further(
    scenario: Scenario, address: str, port: int, timeout_s: float, seen: Iterable[ProbeCheck]
) -> Iterator[ProbeCheck]:
    """The checks, one by one. seen: what the requests as they are came to.

    Nothing is asked over HTTP/2 or WebSocket, and nothing of a server that answered nothing.
    """
    right = {check.template for check in seen if check.name == "plain" and check.outcome == "pass"}
    if scenario.protocol is not Protocol.HTTP or not right:
        return
    site = Site(scenario, address, port, timeout_s)
    yield from refusals(site)
    templates = dict.fromkeys(scenario.templates)
    yield from sizes(
        site,
        [each for each in templates if askable(each) and each.body_length and each.name in right],
    )
