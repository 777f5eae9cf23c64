"""One request in any form on a line of its own, and what came of it as a ProbeCheck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from diagnose.load.check import wrong
from diagnose.load.conversation import Piece, Seen, converse
from diagnose.load.line import Line
from diagnose.load.probe import SHOWN, pieces_of
from diagnose.load.readers import Http1Reader
from diagnose.load.requests import PreparedRequest, prepare, shown
from diagnose.model.run import ProbeCheck
from diagnose.model.scenario import Answer, RequestTemplate, Scenario, Sending
from diagnose.model.validation import Excerpt
from diagnose.tls import client_context

# A server that does not answer a form of a request is not waited for as long as the load would.
PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Site:
    """Where to ask, and as part of which scenario. timeout_s: the longest wait for one answer."""

    scenario: Scenario
    address: str
    port: int
    timeout_s: float

    @property
    def authority(self) -> str:
        """host:port as it stands in a request."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"

    @property
    def patience_s(self) -> float:
        """How long a form of a request is waited for."""
        return min(self.timeout_s, PATIENCE_S)

    def line(self, kind: type[Line] | None = None) -> Line:
        """A connection. Raises: OSError."""
        context = client_context() if self.scenario.tls else None
        return (kind or Line)(self.address, self.port, self.timeout_s, context)

    def prepared(self, template: RequestTemplate) -> PreparedRequest:
        """The bytes of a template."""
        return prepare(template, self.authority)


def askable(template: RequestTemplate) -> bool:
    """It is sent whole, must be answered, and is not made of raw bytes: its form can be changed."""
    return (
        template.raw is None
        and template.sending is Sending.WHOLE
        and template.expect.answer is Answer.REQUIRED
    )


def ask(site: Site, name: str, template: RequestTemplate) -> ProbeCheck:
    """One request, sent whole on a line of its own. outcome: `pass`, or `differs`."""
    request = site.prepared(template)
    pieces = [Piece(piece) for piece in pieces_of(request)]
    seen = conversed(site, pieces)
    problem = judged(template, request, seen)
    return told(name, template, shown(request), seen, problem)


def conversed(
    site: Site, pieces: Sequence[Piece], answers: int = 1, patience_s: float | None = None
) -> Seen:
    """The pieces on a line of their own; a line that cannot be had is a problem like another."""
    patience = site.patience_s if patience_s is None else patience_s
    try:
        with site.line() as line:
            return converse(line, pieces, Http1Reader(), answers, patience)
    except OSError as error:
        return no_line(error)


def no_line(error: OSError) -> Seen:
    """What is seen where nobody can be asked."""
    return Seen((), f"cannot connect: {error}", 0.0, 0, 0, Excerpt(b"", b"", 0))


def judged(template: RequestTemplate, request: PreparedRequest, seen: Seen) -> str:
    """What is wrong with the first answer; '' when it is right."""
    if not seen.responses:
        return seen.problem or "no answer"
    problem = wrong(seen.responses[0], template.expect, True, request.expected)
    return problem[1] if problem else ""


def told(
    name: str,
    template: RequestTemplate,
    sent: bytes,
    seen: Seen,
    problem: str,
    *,
    note: str = "",
    times_s: tuple[float, ...] = (),
) -> ProbeCheck:
    """The check that saw this. problem: how the answer differs from a right one, '' when it does
    not; then `note` is the detail."""
    answer = seen.responses[0] if seen.responses else None
    return ProbeCheck(
        name=name,
        template=template.name,
        outcome="differs" if problem else "pass",
        detail=problem or note,
        latency_s=seen.elapsed_s,
        request=sent[:SHOWN].decode("latin-1"),
        response=seen.received.start[:SHOWN].decode("latin-1"),
        closes=answer is not None and answer.head.close,
        status=answer.head.status if answer is not None else 0,
        times_s=times_s,
    )


def with_header(template: RequestTemplate, name: str, value: str | None) -> RequestTemplate:
    """The template with another value of a header; None: without it."""
    rest = tuple(item for item in template.headers if item[0].lower() != name.lower())
    return replace(template, headers=rest if value is None else (*rest, (name, value)))
