"""Judges: what a server sent against what it should have, pure."""

from __future__ import annotations

from collections.abc import Callable

from diagnose.load.check import wrong
from diagnose.load.conversation import Piece, Seen
from diagnose.load.validation.check import Asked, Verdict
from diagnose.model.scenario import Expectation
from diagnose.model.validation import Outcome

PASSED = Verdict()


def as_wanted(asked: Asked, seen: Seen) -> Verdict:
    """Each answer is the one that was wanted, and none came before its request was sent whole."""
    for want, response in zip(asked.wants, seen.responses, strict=False):
        if seen.early and 200 <= response.head.status < 300:
            return _early(seen)
        problem = wrong(response, want, True)
        if problem is not None:
            return Verdict(Outcome.FAIL, problem[1] + _which(asked, seen, response))
    return complete(asked, seen)


def complete(asked: Asked, seen: Seen) -> Verdict:
    """There are as many answers as were waited for."""
    if seen.problem:
        return Verdict(Outcome.ERROR, seen.problem)
    if seen.early:
        return _early(seen)
    if len(seen.responses) > len(asked.wants):
        return Verdict(
            Outcome.FAIL, f"{len(seen.responses)} answers to {len(asked.wants)} requests"
        )
    return PASSED


def status_of_class(first: int) -> Callable[[Asked, Seen], Verdict]:
    """A judge: every answer has a status that begins with this digit."""

    def judge(asked: Asked, seen: Seen) -> Verdict:
        for response in seen.responses:
            if response.head.status // 100 != first:
                return Verdict(Outcome.FAIL, f"status {response.head.status}, expected {first}xx")
        return complete(asked, seen)

    return judge


def any_answer(asked: Asked, seen: Seen) -> Verdict:
    """Whatever comes is right."""
    return PASSED


def kept(*requests: bytes) -> tuple[Piece, ...]:
    """Requests one after the other on one connection, each when the one before was answered."""
    return tuple(Piece(request, after=number) for number, request in enumerate(requests))


def single(request: bytes, want: Expectation) -> Asked:
    """One request on a connection of its own."""
    return Asked((Piece(request),), (want,), as_wanted)


def _early(seen: Seen) -> Verdict:
    status = seen.responses[-1].head.status
    return Verdict(
        Outcome.FAIL,
        f"answered with status {status} when {seen.sent} of {seen.to_send} bytes of the request "
        "were sent",
    )


def _which(asked: Asked, seen: Seen, response: object) -> str:
    if len(asked.wants) == 1:
        return ""
    number = next(n for n, each in enumerate(seen.responses, 1) if each is response)
    return f" (answer {number} of {len(asked.wants)})"
