"""`/baseline11`: the sum of the query's integers and of the body, however the request arrives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from diagnose.load.conversation import Piece
from diagnose.load.expected import in_words
from diagnose.load.validation.check import Asked, Asking, Check, Plan
from diagnose.load.validation.judging import (
    as_wanted,
    kept,
    single,
    status_of_class,
)
from diagnose.model.scenario import Expectation

GROUP = "baseline"
PATH = "/baseline11"
# As far apart as the pieces are when the benchmark validates an entry.
FRAGMENT_S = 0.03
PIPELINED = 16
# What curl -d sends without being asked, what a program may, and what fits the body.
CONTENT_TYPES = ("application/x-www-form-urlencoded", "application/octet-stream", "text/plain")
_NOT_FOUND = Expectation(status=(404,))


def summed(total: int) -> Expectation:
    """The answer to a request whose numbers add up to this."""
    return Expectation(body=str(total), content_type="text/plain")


def queried(asking: Asking, path: str = PATH) -> tuple[str, int]:
    """A target with two numbers in its query, and their sum."""
    a, b = asking.number(), asking.number()
    return f"{path}?a={a}&b={b}", a + b


def got(asking: Asking) -> tuple[bytes, Expectation]:
    """A GET and its answer."""
    target, total = queried(asking)
    return asking.get(target), summed(total)


def _posted(asking: Asking) -> tuple[bytes, Expectation]:
    target, total = queried(asking)
    number = asking.number()
    return asking.post(target, str(number).encode()), summed(total + number)


def _one(make: Callable[[Asking], tuple[bytes, Expectation]], asking: Asking) -> Plan:
    return Plan((single(*make(asking)),))


def _chunked(asking: Asking, chunks: int) -> Plan:
    target, total = queried(asking)
    digits = str(asking.number()).encode()
    parts = [digits] if chunks == 1 else [digits[:2], digits[2:]]
    return Plan((single(asking.chunked(target, *parts), summed(total + int(digits))),))


def _two_bodies(asking: Asking) -> Plan:
    target, total = queried(asking)
    first = asking.number()
    # Any other number of as many digits.
    second = first + 1 if first < 99_999 else first - 1
    return Plan(
        tuple(
            single(asking.post(target, str(number).encode()), summed(total + number))
            for number in (first, second)
        )
    )


def _content_types(asking: Asking) -> Plan:
    target, total = queried(asking)
    number = asking.number()
    return any_type(asking, target, str(number).encode(), summed(total + number))


def any_type(asking: Asking, target: str, body: bytes, want: Expectation) -> Plan:
    """A POST without a Content-Type, then with each: the same answer."""
    headers = ["", *(f"Content-Type: {each}" for each in CONTENT_TYPES)]
    return Plan(
        tuple(
            Asked(
                (Piece(asking.post(target, body, *([header] if header else []))),),
                (want,),
                as_wanted,
                f"{in_words(want)}, with {header or 'no Content-Type'} as with any other",
            )
            for header in headers
        )
    )


def _kept(asking: Asking) -> Plan:
    (first, one), (second, two) = got(asking), _posted(asking)
    return Plan((Asked(kept(first, second), (one, two), as_wanted),))


def _pipelined(asking: Asking) -> Plan:
    pairs = [got(asking) for _ in range(PIPELINED)]
    wants = tuple(want for _, want in pairs)
    order = ", ".join(str(want.body) for want in wants)
    sent = Piece(b"".join(request for request, _ in pairs))
    return Plan((Asked((sent,), wants, as_wanted, f"{PIPELINED} answers in this order: {order}"),))


def _fragmented(asking: Asking, place: Callable[[bytes], int], chunked: bool = False) -> Plan:
    target, total = queried(asking)
    number = asking.number()
    body = str(number).encode()
    request = asking.chunked(target, body) if chunked else asking.post(target, body)
    cut = place(request)
    pieces = (Piece(request[:cut]), Piece(request[cut:], FRAGMENT_S))
    return Plan((Asked(pieces, (summed(total + number),), as_wanted),))


def _line(request: bytes) -> int:
    return request.index(b"\r\n") // 2


def _head(request: bytes, beyond: int = 0) -> int:
    return request.index(b"\r\n\r\n") + 4 + beyond


def _unknown_path(asking: Asking) -> Plan:
    request = asking.get(f"/no-such-path-{asking.number()}")
    return Plan((single(request, _NOT_FOUND),))


def _refused(*requests: bytes) -> Plan:
    return Plan(
        tuple(
            Asked((Piece(request),), (Expectation(),), status_of_class(4), "status 4xx")
            for request in requests
        )
    )


def _unknown_method(asking: Asking) -> Plan:
    return _refused(asking.request("NOSUCHMETHOD", queried(asking)[0]))


def _bad_numbers(asking: Asking) -> Plan:
    good = asking.number()
    return _refused(
        asking.get(f"{PATH}?a=thirteen&b={good}"), asking.post(f"{PATH}?a={good}&b=1", b"twenty")
    )


def _check(name: str, plan: Callable[[Asking], Plan]) -> Check:
    return Check(GROUP, name, PATH, plan)


def _pieces(where: str, place: Callable[[bytes], int], chunked: bool = False) -> Check:
    return _check(f"fragmented {where}", partial(_fragmented, place=place, chunked=chunked))


CHECKS = (
    _check("GET", partial(_one, got)),
    _check("POST with Content-Length", partial(_one, _posted)),
    _check("POST chunked", partial(_chunked, chunks=1)),
    _check("POST in two chunks", partial(_chunked, chunks=2)),
    _check("two different bodies in a row", _two_bodies),
    _check("the same with and without Content-Type", _content_types),
    _check("two requests on one connection", _kept),
    _check(f"{PIPELINED} pipelined, answered in order", _pipelined),
    _pieces("inside the request line", _line),
    _pieces("before the headers' end", partial(_head, beyond=-2)),
    _pieces("between headers and body", _head),
    _pieces("inside the body", partial(_head, beyond=2)),
    _pieces("inside a chunk", partial(_head, beyond=5), chunked=True),
    Check(GROUP, "unknown path", "", _unknown_path),
    _check("unknown method", _unknown_method),
    Check(GROUP, "query and body that are no numbers", PATH, _bad_numbers, demanded=False),
)
