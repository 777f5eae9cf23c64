"""`/compression`: about 6000 items with totals, gzip where it is asked for."""

from __future__ import annotations

from diagnose.load.conversation import Piece
from diagnose.load.validation.check import Asked, Asking, Check, Plan
from diagnose.load.validation.json_items import exact_json
from diagnose.load.validation.judging import as_wanted, kept, single
from diagnose.model.scenario import Expectation

GROUP = "compression"
PATH = "/compression"
# The contract says about 6000, and under 500 KB.
LEAST_ITEMS, MOST_BYTES = 5000, 500_000
_GZIP = Expectation(
    min_items=LEAST_ITEMS, decimals=2, encoding=("gzip",), max_wire_bytes=MOST_BYTES
)


def _get(asking: Asking) -> bytes:
    return asking.get(PATH, "Accept-Encoding: gzip")


def _gzip(asking: Asking) -> Plan:
    return Plan((single(_get(asking), _GZIP),))


def _typed(asking: Asking) -> Plan:
    expected = "status 2xx, Content-Type exactly application/json"
    want = (Expectation(content_type="application/json"),)
    return Plan((Asked((Piece(_get(asking)),), want, exact_json, expected),))


def _plain(asking: Asking) -> Plan:
    want = Expectation(min_items=LEAST_ITEMS, decimals=2, encoding=())
    return Plan((single(asking.get(PATH), want),))


def _kept(asking: Asking) -> Plan:
    return Plan((Asked(kept(*[_get(asking)] * 2), (_GZIP,) * 2, as_wanted),))


CHECKS = (
    Check(GROUP, "gzip: totals, under 500 KB", PATH, _gzip),
    Check(GROUP, "exact content type", PATH, _typed),
    Check(GROUP, "no encoding where not asked for", PATH, _plain),
    Check(GROUP, "two requests on one connection", PATH, _kept),
)
