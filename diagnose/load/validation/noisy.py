"""Broken requests must not spoil the answers to good ones."""

from __future__ import annotations

from diagnose.load.conversation import Piece
from diagnose.load.validation.baseline import PATH, got, queried
from diagnose.load.validation.check import Asked, Asking, Check, Plan
from diagnose.load.validation.judging import any_answer, single
from diagnose.model.scenario import Answer, Expectation

GROUP = "noisy"
RANDOM_BYTES = 256
# Long enough to see a refusal; silence is right too.
NOISE_S = 0.3
_ANY = (Expectation(answer=Answer.ANY),)


def _after_noise(asking: Asking) -> Plan:
    missing = asking.request("POST", queried(asking)[0], "Content-Length: 999")
    nonsense = asking.draw.randbytes(RANDOM_BYTES)
    return Plan(
        (
            *(
                Asked((Piece(noise),), _ANY, any_answer, patience_s=NOISE_S)
                for noise in (missing, nonsense)
            ),
            single(*got(asking)),
        )
    )


CHECKS = (Check(GROUP, "GET after a missing body and random bytes", PATH, _after_noise),)
