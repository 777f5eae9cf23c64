"""`/pipeline`: two bytes, 16 requests at a time."""

from __future__ import annotations

from diagnose.load.conversation import Piece
from diagnose.load.validation.baseline import PIPELINED
from diagnose.load.validation.check import Asked, Asking, Check, Plan
from diagnose.load.validation.judging import as_wanted, single
from diagnose.model.scenario import Expectation

GROUP = "pipelined"
PATH = "/pipeline"
_OK = Expectation(body="ok", content_type="text/plain")


def _one(asking: Asking) -> Plan:
    return Plan((single(asking.get(PATH), _OK),))


def _many(asking: Asking) -> Plan:
    sent = Piece(asking.get(PATH) * PIPELINED)
    expected = f"{PIPELINED} times status 2xx, Content-Type text/plain, body 'ok'"
    return Plan((Asked((sent,), (_OK,) * PIPELINED, as_wanted, expected),))


CHECKS = (
    Check(GROUP, "answers ok", PATH, _one),
    Check(GROUP, f"{PIPELINED} at once", PATH, _many),
)
