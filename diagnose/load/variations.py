"""The same requests in other forms, before the load: does the answer depend on the form?

With and without a Content-Type, chunked and with a Content-Length, and with half of the body held
back. What comes of a form that the scenario does not send is no failure: the outcome is `differs`,
and a rule says what that means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from diagnose.load.asking import (
    Site,
    ask,
    askable,
    conversed,
    judged,
    no_line,
    told,
    with_header,
)
from diagnose.load.check import compares_body, wrong
from diagnose.load.conversation import Piece, Seen, converse
from diagnose.load.readers import Http1Reader
from diagnose.load.rhythm import rhythms
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import INLINE_BODY, Protocol, RequestTemplate, Scenario
from diagnose.values import example

TYPE = "Content-Type"
INFINITE = float("inf")
LAST_CHUNK = b"0\r\n\r\n"
# A media type that no framework has a parser for, and those that it might want instead of none.
NEUTRAL_TYPE = "application/octet-stream"
TYPES = (NEUTRAL_TYPE, "text/plain", "application/x-www-form-urlencoded", "application/json")
# In place of a long body; no round number, so that it is no buffer's length.
SHORT_BODY = 12_345
# Templates with a body whose forms are tried: each costs a few round trips.
MOST_TEMPLATES = 4
# A server that answers before the body is there does so when it has read the head; one that takes
# longer for any answer is given longer.
HELD_BACK_S, MOST_HELD_BACK_S = 0.3, 1.5
HELD_BACK_LATENCIES = 5
HALF_BODY = 64 * 1024
# A server that has seen the end of the client's bytes may answer, or close.
CUT_S = 1.0


def variations(
    scenario: Scenario, address: str, port: int, timeout_s: float, seen: Iterable[ProbeCheck]
) -> Iterator[ProbeCheck]:
    """The checks of the forms, one by one. seen: what the requests as they are came to.

    Nothing is asked over HTTP/2 or WebSocket.
    """
    if scenario.protocol is not Protocol.HTTP:
        return
    site = Site(scenario, address, port, timeout_s)
    checks = list(seen)
    plain = {check.template: check for check in checks if check.name == "plain"}
    templates = [each for each in dict.fromkeys(scenario.templates) if each.name in plain]
    fastest: dict[str, float] = {}
    for check in checks:
        if check.name in ("plain", "kept"):
            fastest[check.template] = min(check.latency_s, fastest.get(check.template, INFINITE))
    yield from rhythms(
        site, {each: fastest[each.name] for each in templates if _good(plain[each.name])}
    )
    posts = [each for each in templates if askable(each) and each.payload_length > 0]
    # Bodies that differ in nothing but their length are tried once.
    tried: dict[RequestTemplate, RequestTemplate] = {}
    for template in posts:
        short = reduced(template)
        if short is not None:
            tried.setdefault(replace(short, name=""), template)
    for template in list(tried.values())[:MOST_TEMPLATES]:
        yield from _forms(site, template, plain[template.name])
    for template in posts:
        if not template.chunked and _good(plain[template.name]):
            yield from _half(site, template, plain[template.name].latency_s)
            return


def _good(check: ProbeCheck) -> bool:
    return check.outcome == "pass"


def reduced(template: RequestTemplate) -> RequestTemplate | None:
    """The template with a short body; None where its right answer is then not known."""
    if template.payload_length <= INLINE_BODY:
        return template
    expect = template.expect
    if counts_bytes(template):
        return replace(
            template, body_length=SHORT_BODY, expect=replace(expect, body=str(SHORT_BODY))
        )
    return None if compares_body(expect) else replace(template, body_length=SHORT_BODY)


def _forms(site: Site, template: RequestTemplate, plain: ProbeCheck) -> Iterator[ProbeCheck]:
    """One header more or less, and the other framing; as it is first, where it was made shorter."""
    short = reduced(template)
    if short is None:
        return
    right = _good(plain)
    framing = "content_length" if template.chunked else "chunked"
    if plain.outcome == "error":
        # Perhaps the framing is what it does not answer; each further form may be as silent.
        if template.chunked:
            yield ask(site, framing, replace(short, chunked=False))
        return
    if short is not template:
        check = ask(site, "short_body", short)
        yield check
        right = _good(check)
    if _good(ask(site, "again", short)) is not right:
        # It is answered now so and now otherwise (an error now and then, a number that may be taken
        # once): no form of it would tell anything.
        return
    other = replace(short, chunked=not template.chunked)
    check = ask(site, framing, other)
    if not _good(check):
        check = ask(site, framing, other)
    yield check
    miscounted = not _good(check) and check.status // 100 == 2
    if framing == "chunked" and right and miscounted and counts_bytes(short):
        yield from _read_whole(site, template, short)
    if any(name.lower() == TYPE.lower() for name, _ in template.headers):
        yield ask(site, "without_content_type", with_header(short, TYPE, None))
        return
    for media_type in (NEUTRAL_TYPE,) if right else TYPES:
        check = ask(site, "with_content_type", with_header(short, TYPE, media_type))
        yield replace(check, detail=f"{media_type}: {check.detail or 'answered right'}")
        if _good(check):
            return


def _read_whole(
    site: Site, template: RequestTemplate, short: RequestTemplate
) -> Iterator[ProbeCheck]:
    """Whether a chunked body that is answered wrong is read at all: `differs` when it is.

    Its last chunk is held back, and another request follows the answer: a server that waits for
    the chunk, and takes what follows for a request, has read the body to its end.
    """
    request = site.prepared(replace(short, chunked=True))
    sent = example(request.head)
    following = example(site.prepared(short).head)
    if request.payload is not None or len(following) > INLINE_BODY * 2:
        return
    cut = len(sent) - len(LAST_CHUNK)
    pieces = [
        Piece(sent[:cut]),
        Piece(LAST_CHUNK, HELD_BACK_S),
        Piece(following, after=1),
    ]
    seen = conversed(site, pieces, 2)
    first = next((event.at_s for event in seen.events if not event.sent), 0.0)
    waited = len(seen.responses) == 2 and first > HELD_BACK_S / 2
    right_after = waited and not wrong(
        seen.responses[1], short.expect, True, site.prepared(short).expected
    )
    problem = "read to its end, and then answered so" if right_after else ""
    note = "answered before its end" if not waited else "what followed was not answered right"
    yield told("chunked_read", template, sent, seen, problem, note=note)


# -- half of a body ------------------------------------------------------------------------------


def _half(site: Site, template: RequestTemplate, latency_s: float) -> Iterator[ProbeCheck]:
    """Head and half of the body, then nothing: twice, and the second time the client half-closes.

    An answer that comes meanwhile came before the body. One that gives the number of bytes that
    were announced was not made from what was read.
    """
    sent = _beginning(site, template)
    patience = max(HELD_BACK_S, min(MOST_HELD_BACK_S, HELD_BACK_LATENCIES * latency_s))
    first, _ = _held_back(site, sent, patience, cut=False)
    seen, after = _held_back(site, sent, patience, cut=not _succeeded(first))
    problem, note = "", "no answer"
    if _succeeded(first) and _succeeded(seen):
        came = seen.received.size
        problem = f"answered ({came} bytes) before the body was there"
    elif seen.responses:
        note = f"status {seen.responses[0].head.status}, which may come before the body"
    times = (first.elapsed_s, seen.elapsed_s)
    yield told("half_body", template, sent, seen, problem, note=note, times_s=times)
    last = seen if problem else after
    if last is None or not counts_bytes(template):
        return
    otherwise = judged(template, site.prepared(template), last)
    as_whole = "" if otherwise else "answered as if the body had come whole"
    yield told("cut_body", template, sent, last, as_whole, note=otherwise)


def counts_bytes(template: RequestTemplate) -> bool:
    """The right answer is the number of bytes of the body."""
    return template.expect.body == str(template.payload_length)


def _succeeded(seen: Seen) -> bool:
    return bool(seen.responses) and seen.responses[0].head.status // 100 == 2


def _beginning(site: Site, template: RequestTemplate) -> bytes:
    """The head, and a part of the body."""
    request = site.prepared(template)
    head = example(request.head)
    if request.payload is not None:
        return head + request.payload.unit[: min(HALF_BODY, request.payload.length // 2)]
    start = head.index(b"\r\n\r\n") + 4
    return head[: start + (len(head) - start) // 2]


def _held_back(
    site: Site, sent: bytes, patience_s: float, *, cut: bool
) -> tuple[Seen, Seen | None]:
    """What came while the rest of the body was held back; where nothing did and `cut` is wanted,
    also what came after the client had said that nothing follows (TLS has no way to say so)."""
    try:
        with site.line() as line:
            seen = converse(line, [Piece(sent)], Http1Reader(), 1, patience_s)
            if not cut or not seen.timed_out or seen.received.size or site.scenario.tls:
                return seen, None
            return seen, converse(line, [], Http1Reader(), 1, CUT_S, finish=True)
    except OSError as error:
        return no_line(error), None
