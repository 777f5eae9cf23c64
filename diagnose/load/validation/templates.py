"""The requests of any scenario: whole, again on the same connection, and in pieces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from diagnose.load.conversation import Piece
from diagnose.load.http2 import Http2Reader, gets
from diagnose.load.probe import ANY_ANSWER_S, FRAGMENT_S, cut, pieces_of
from diagnose.load.readers import Http1Reader, WebSocketReader
from diagnose.load.requests import PreparedRequest, prepare_for
from diagnose.load.validation.check import Asked, Asking, Check, Plan, Way
from diagnose.load.validation.judging import any_answer, as_wanted
from diagnose.model.scenario import (
    INLINE_BODY,
    Answer,
    Expectation,
    Protocol,
    RequestTemplate,
    Scenario,
    Sending,
)

# Values are drawn for a connection by its number; here every one is the first.
FIRST = 0
_UPGRADED = Expectation(status=(101,))


def checks(scenario: Scenario) -> tuple[Check, ...]:
    """The checks of a scenario's templates; one that may get any answer is only sent."""
    return tuple(
        check for template in dict.fromkeys(scenario.templates) for check in _of(scenario, template)
    )


def _of(scenario: Scenario, template: RequestTemplate) -> list[Check]:
    def check(form: str, plan: Callable[[Asking], Plan], unable: str = "") -> Check:
        name = f"{template.name}, {form}" if form else template.name
        return Check(scenario.name, name, _endpoint(template), plan, way, unable=unable)

    form = _Forms(scenario, template)
    if scenario.protocol is Protocol.H2:
        way = Way.H2 if scenario.tls else Way.H2C
        bare = template.method == "GET" and not template.payload_length and template.raw is None
        return [check("", form.http2, unable="" if bare else "over HTTP/2 only GETs are probed")]
    way = Way.HTTP
    found = [check("", form.whole)]
    if template.expect.answer is Answer.ANY or template.sending is not Sending.WHOLE:
        return found
    if template.body is not None or template.payload_length <= INLINE_BODY:
        found.append(check("again on the connection", form.again))
        if scenario.protocol is Protocol.HTTP:
            found.append(check("in pieces", form.in_pieces))
    return found


def _endpoint(template: RequestTemplate) -> str:
    """The path, where success is what is asked of it."""
    status = template.expect.status
    succeeds = not status or status[0] // 100 == 2
    return template.target.partition("?")[0] if succeeds else ""


@dataclass(frozen=True, slots=True)
class _Forms:
    """The ways to send a template."""

    scenario: Scenario
    template: RequestTemplate

    def whole(self, asking: Asking) -> Plan:
        """As the load does."""
        request, want = self._drawn(asking)
        pieces = [Piece(data) for data in pieces_of(request)]
        return self._plan(request, pieces, [want])

    def again(self, asking: Asking) -> Plan:
        """Two on one connection, each with values of its own."""
        opened = int(self.scenario.protocol is Protocol.WS)
        (first, one), (second, two) = self._drawn(asking), self._drawn(asking)
        pieces = [Piece(first.head), Piece(second.head, after=opened + 1)]
        return self._plan(first, pieces, [one, two])

    def in_pieces(self, asking: Asking) -> Plan:
        """Cut in the places where the benchmark's validation cuts."""
        request, want = self._drawn(asking)
        pieces = [
            Piece(data, FRAGMENT_S * bool(number)) for number, data in enumerate(cut(request.head))
        ]
        return self._plan(request, pieces, [want])

    def http2(self, asking: Asking) -> Plan:
        """A GET over HTTP/2."""
        template = self.template
        scheme = "https" if self.scenario.tls else "http"
        sent = Piece(gets([template.target], asking.authority, scheme))
        return Plan((Asked((sent,), (template.expect,), as_wanted, reader=Http2Reader),))

    def _drawn(self, asking: Asking) -> tuple[PreparedRequest, Expectation]:
        request = prepare_for(self.scenario, self.template, asking.authority)
        head, body = request.drawn(self.template, FIRST)
        want = self.template.expect
        if body is not None:
            want = replace(want, sum=False, body=body.decode("latin-1"))
        return replace(request, head=head, varies=False), want

    def _plan(
        self, request: PreparedRequest, pieces: list[Piece], wants: list[Expectation]
    ) -> Plan:
        tolerant = self.template.expect.answer is Answer.ANY
        speaks_ws = self.scenario.protocol is Protocol.WS
        if speaks_ws:
            pieces = [Piece(request.opening), *(replace(p, after=p.after or 1) for p in pieces)]
            wants = [_UPGRADED, *wants]
        asked = Asked(
            tuple(pieces),
            tuple(wants),
            any_answer if tolerant else as_wanted,
            reader=WebSocketReader if speaks_ws else Http1Reader,
            patience_s=ANY_ANSWER_S if tolerant else None,
        )
        return Plan((asked,))
