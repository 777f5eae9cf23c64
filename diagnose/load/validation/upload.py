"""`/upload`: the number of body bytes that were read, and never the Content-Length header."""

from __future__ import annotations

from functools import partial

from diagnose.load.conversation import Piece, Seen
from diagnose.load.validation.baseline import FRAGMENT_S, any_type
from diagnose.load.validation.check import Asked, Asking, Check, Plan, Verdict
from diagnose.load.validation.judging import (
    PASSED,
    as_wanted,
    kept,
    single,
)
from diagnose.model.scenario import Expectation
from diagnose.model.validation import Outcome

GROUP = "upload"
PATH = "/upload"
SMALL, RANDOM, MEDIUM = 17, 48, 512_000
LARGE = (("500 KiB", MEDIUM), ("2 MiB", 2 << 20), ("10 MiB", 10 << 20), ("20 MiB", 20 << 20))
CHUNK, CHUNKS = 65_536, 16
# How long curl waits for a 100 Continue before it sends the body anyway (its documentation,
# CURLOPT_EXPECT_100_TIMEOUT_MS).
CONTINUE_S = 1.0
# Half of the body is held back for so long: a server that answers without it does so at once.
HELD_BACK_S = 0.3
# A server that has seen the end of the request may answer or close; one that waits is not wrong.
CUT_OFF_S = 1.0
# Not about the body: not found, method not allowed, not implemented.
NOT_SERVED = (404, 405, 501)
# Printable, so that a failed check can be read.
_ALPHABET = b"abcdefghijklmnopqrstuvwxyz"


def counted(length: int) -> Expectation:
    """The answer to a body of this length."""
    return Expectation(body=str(length))


def _text(asking: Asking, length: int) -> bytes:
    return bytes(asking.draw.choices(_ALPHABET, k=length))


def _small(asking: Asking) -> Plan:
    return Plan((single(asking.post(PATH, _text(asking, SMALL)), counted(SMALL)),))


def _random(asking: Asking, length: int) -> Plan:
    return Plan((single(asking.post(PATH, asking.draw.randbytes(length)), counted(length)),))


def _chunked(asking: Asking) -> Plan:
    # Not a multiple of anything: the number cannot be guessed.
    last = asking.draw.randint(1, CHUNK)
    chunks = [asking.draw.randbytes(size) for size in [CHUNK] * CHUNKS + [last]]
    return Plan((single(asking.chunked(PATH, *chunks), counted(CHUNK * CHUNKS + last)),))


def _head(asking: Asking, length: int, *headers: str) -> bytes:
    return asking.request("POST", PATH, f"Content-Length: {length}", *headers)


def _expecting(asking: Asking) -> Plan:
    body = Piece(asking.draw.randbytes(MEDIUM), CONTINUE_S, awaits=b"HTTP/1.1 100")
    head = Piece(_head(asking, MEDIUM, "Expect: 100-continue"))
    expected = f"100 Continue, then status 2xx, body '{MEDIUM}'"
    return Plan((Asked((head, body), (counted(MEDIUM),), continued, expected),))


def continued(asked: Asked, seen: Seen) -> Verdict:
    """The judge of `Expect: 100-continue`: right, and at best after a 100."""
    verdict = as_wanted(asked, seen)
    if verdict != PASSED or seen.received.start.startswith(b"HTTP/1.1 100"):
        return verdict
    # RFC 9110, 10.1.1: the server MUST send 100 or a final status; clients need not wait for it.
    return Verdict(
        Outcome.WARN,
        f"no 100 Continue within {CONTINUE_S:g} s: curl waits so long with each large upload",
    )


def _content_types(asking: Asking) -> Plan:
    return any_type(asking, PATH, _text(asking, SMALL), counted(SMALL))


def _kept(asking: Asking) -> Plan:
    requests = kept(*(asking.post(PATH, _text(asking, size)) for size in (SMALL, RANDOM)))
    return Plan((Asked(requests, (counted(SMALL), counted(RANDOM)), as_wanted),))


def _in_pieces(asking: Asking) -> Plan:
    request = asking.post(PATH, _text(asking, RANDOM))
    cut = len(request) - RANDOM // 2
    pieces = (Piece(request[:cut]), Piece(request[cut:], FRAGMENT_S))
    return Plan((Asked(pieces, (counted(RANDOM),), as_wanted),))


def _halves(asking: Asking) -> tuple[int, bytes, bytes]:
    """A length that is no round number, and a body of it in two halves."""
    length = asking.draw.randint(1_000, 9_999)
    body = _text(asking, length)
    return length, body[: length // 2], body[length // 2 :]


def _held_back(asking: Asking) -> Plan:
    length, first, second = _halves(asking)
    pieces = (Piece(_head(asking, length) + first), Piece(second, HELD_BACK_S))
    expected = f"nothing until all of the body is there; then status 2xx, body '{length}'"
    return Plan((Asked(pieces, (counted(length),), as_wanted, expected),))


def _cut_off(asking: Asking) -> Plan:
    length, first, _ = _halves(asking)
    pieces = (Piece(_head(asking, length) + first),)
    asked = Asked(
        *(pieces, (counted(len(first)),), read_not_announced),
        f"an error or the end of the connection: {len(first)} of {length} bytes of body were sent, "
        "then the client half-closed",
        finish=True,
        patience_s=CUT_OFF_S,
    )
    return Plan((asked,))


def read_not_announced(asked: Asked, seen: Seen) -> Verdict:
    """The judge of a body that ends before its end: it must not be answered as if it were whole."""
    if not seen.responses:
        return Verdict(Outcome.PASS, seen.problem)
    response = seen.responses[0]
    body = (response.body or b"").strip().decode("latin-1")
    if response.head.status in NOT_SERVED:
        return Verdict(Outcome.FAIL, f"status {response.head.status}: uploads are not served here")
    if response.head.status // 100 != 2:
        return Verdict(Outcome.PASS, f"status {response.head.status}")
    if body == asked.wants[0].body:
        return Verdict(Outcome.PASS, "answered with the bytes that it had read")
    return Verdict(
        Outcome.FAIL,
        f"status {response.head.status} with {body[:40]!r}, although only {asked.wants[0].body} "
        "bytes of the body were ever sent",
    )


CHECKS = (
    Check(GROUP, f"{SMALL} bytes", PATH, _small),
    Check(GROUP, f"{RANDOM} random bytes", PATH, partial(_random, length=RANDOM)),
    *(Check(GROUP, name, PATH, partial(_random, length=length)) for name, length in LARGE),
    Check(GROUP, "chunked, 1 MiB", PATH, _chunked),
    Check(GROUP, "Expect: 100-continue", PATH, _expecting),
    Check(GROUP, "the same with and without Content-Type", PATH, _content_types),
    Check(GROUP, "two uploads on one connection", PATH, _kept),
    Check(GROUP, "fragmented inside the body", PATH, _in_pieces),
    Check(GROUP, "not answered before the body is there", PATH, _held_back),
    Check(GROUP, "bytes read, not bytes announced", PATH, _cut_off),
)
