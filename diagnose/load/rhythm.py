"""How answers follow each other on an idle server: pipelined ones, and with late acknowledgments.

The client's kernel acknowledges at once, or as late as it may: where the answer waits for that, the
server holds a part of it back until the first part is acknowledged.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median

from diagnose.load.asking import Site, no_line, told
from diagnose.load.check import wrong
from diagnose.load.conversation import Piece, Seen, converse
from diagnose.load.line import Line
from diagnose.load.probe import pieces_of
from diagnose.load.readers import Http1Reader
from diagnose.load.requests import shown
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import INLINE_BODY, Answer, RequestTemplate, Sending

# Each template is asked so often on one connection, the least that a median needs.
REPEATS = 3
MOST_TEMPLATES = 6
# Linux delays an acknowledgment by 40 ms at the least (TCP_DELACK_MIN, include/net/tcp.h): what
# comes sooner did not wait for one. Above the most (TCP_DELACK_MAX, 200 ms) and a little, other
# things take time, and asking again and again would only cost more of it.
SUSPECT_S, UNSUSPECTED_S = 0.025, 0.35
BURSTS = (4, 16)
BURST_TIMES = 2
MOST_ROTATION = 4
# Answers that fill the buffers between server and client take longer in a burst for that alone.
SMALL_ANSWER = 16 * 1024
# A server that handles pipelined requests one after the other, as it may, takes this long at most.
MOST_SERIAL_S = 1.5
BURST_PATIENCE_S = 3.0


class AckLine(Line):
    """A line whose kernel acknowledges what comes at once (quick), or as late as it may.

    Source: tcp(7), TCP_QUICKACK: the flag is not permanent, so it is set again each time.
    """

    quick = False

    def _set(self) -> None:
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, int(self.quick))

    def send(self, data: bytes | memoryview) -> int:
        """As Line."""
        self._set()
        return super().send(data)

    def receive(self) -> bytes | None:
        """As Line."""
        data = super().receive()
        self._set()
        return data


class QuickLine(AckLine):
    """A line whose kernel acknowledges at once."""

    quick = True


def rhythms(site: Site, latencies: Mapping[RequestTemplate, float]) -> Iterator[ProbeCheck]:
    """The checks, one by one. latencies: the templates that were answered right, and how soon."""
    small = [each for each in latencies if _repeatable(each)]
    for template in [each for each in small if latencies[each] <= UNSUSPECTED_S][:MOST_TEMPLATES]:
        yield from _acknowledged(site, template)
    quick = [each for each in small if BURSTS[-1] * latencies[each] <= MOST_SERIAL_S]
    yield from _pipelined(site, quick)


def _repeatable(template: RequestTemplate) -> bool:
    return (
        template.sending is Sending.WHOLE
        and template.expect.answer is Answer.REQUIRED
        and (template.body is not None or template.body_length <= INLINE_BODY)
    )


# -- acknowledgments -----------------------------------------------------------------------------


def _acknowledged(site: Site, template: RequestTemplate) -> Iterator[ProbeCheck]:
    """With late acknowledgments; where that takes as long as one, with quick ones too, and then
    with late ones again: a server that warms up is quicker each time it is asked."""
    sent = _sent(site, template)
    late, times = _repeated(site, template, AckLine)
    if late.problem or not SUSPECT_S <= median(times) <= UNSUSPECTED_S:
        yield told("late_ack", template, sent, late, late.problem, times_s=times)
        return
    quick, quick_times = _repeated(site, template, QuickLine)
    late, again = _repeated(site, template, AckLine)
    yield told("late_ack", template, sent, late, late.problem, times_s=(*times, *again))
    yield told("quick_ack", template, sent, quick, quick.problem, times_s=quick_times)


def _repeated(
    site: Site, template: RequestTemplate, kind: type[Line]
) -> tuple[Seen, tuple[float, ...]]:
    """The request some times on one connection: the last exchange, and how long each took."""
    pieces = [Piece(piece) for piece in pieces_of(site.prepared(template))]
    times: list[float] = []
    try:
        with site.line(kind) as line:
            for _ in range(REPEATS):
                seen = converse(line, pieces, Http1Reader(), 1, site.patience_s)
                if seen.problem:
                    break
                times.append(seen.elapsed_s)
                if seen.responses[0].head.close:
                    break
    except OSError as error:
        seen = no_line(error)
    return seen, tuple(times)


def _sent(site: Site, template: RequestTemplate) -> bytes:
    return shown(site.prepared(template))


# -- pipelining ----------------------------------------------------------------------------------


def _pipelined(site: Site, templates: Sequence[RequestTemplate]) -> Iterator[ProbeCheck]:
    """Bursts of requests in one write. times_s: one request alone, the smaller burst, the larger.

    GETs only, unless the load itself pipelines others.
    """
    deep = site.scenario.pipeline > 1
    rotation: list[RequestTemplate] = []
    singles: list[float] = []
    candidates = [each for each in templates if deep or each.method == "GET"]
    for template in candidates[: 2 * MOST_ROTATION]:
        if len(rotation) == MOST_ROTATION:
            break
        seen, times = _repeated(site, template, QuickLine)
        # Nothing can stand behind a request whose answer ends the connection.
        if not seen.problem and len(times) == REPEATS and seen.received.size <= SMALL_ANSWER:
            rotation.append(template)
            # The best, as of the bursts: nothing makes an exchange faster than it is, and who is
            # slow to begin the next request may be so with the next on a connection as well.
            singles.append(min(times))
    if not rotation:
        return
    single = sum(singles) / len(singles)
    times_s = [single]
    for count in BURSTS:
        bursts = [_burst(site, rotation, count) for _ in range(BURST_TIMES)]
        problems = [each.problem or _misplaced(site, rotation, each) for each in bursts]
        # The better of two: other programs make a burst slow, and none makes it fast.
        place = min(range(BURST_TIMES), key=lambda n: (bool(problems[n]), bursts[n].elapsed_s))
        best, problem = bursts[place], problems[place]
        times_s.append(best.elapsed_s)
        if problem or count == BURSTS[-1]:
            sent = _sent(site, rotation[0])
            note = f"{count} answers in {best.elapsed_s * 1e3:.1f} ms"
            check = told(
                "pipelined", rotation[0], sent, best, problem, note=note, times_s=tuple(times_s)
            )
            # A server may end the connection after any answer: the client repeats the rest.
            ended = "closed" in best.problem or any(each.head.close for each in best.responses)
            yield replace(check, closes=ended)
            return


def _burst(site: Site, rotation: Sequence[RequestTemplate], count: int) -> Seen:
    requests = [b"".join(pieces_of(site.prepared(each))) for each in rotation]
    sent = b"".join(requests[place % len(requests)] for place in range(count))
    try:
        with site.line(QuickLine) as line:
            return converse(line, [Piece(sent)], Http1Reader(), count, BURST_PATIENCE_S)
    except OSError as error:
        return no_line(error)


def _misplaced(site: Site, rotation: Sequence[RequestTemplate], seen: Seen) -> str:
    """What is wrong with the first answer that is not that of its request; '' when none is."""
    expected = [site.prepared(each).expected for each in rotation]
    for place, response in enumerate(seen.responses):
        turn = place % len(rotation)
        if problem := wrong(response, rotation[turn].expect, True, expected[turn]):
            return f"answer {place + 1} of {len(seen.responses)}: {problem[1]}"
    return ""
