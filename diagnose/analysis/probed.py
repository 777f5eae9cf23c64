"""What the probes before the load saw, as the rules of the protocol read it."""

from __future__ import annotations

from collections.abc import Sequence

from diagnose.model.finding import Evidence
from diagnose.model.run import ProbeCheck, Run
from diagnose.model.scenario import INLINE_BODY, Answer, Protocol, RequestTemplate

SOURCE = "run.json"
# Of a body: enough to know it by.
MOST_BODY = 80


def named(run: Run, *names: str) -> dict[str, ProbeCheck]:
    """The checks of a name by template; of several names the first that there is counts.

    Of a name that was asked more than once, the last.
    """
    found: dict[str, ProbeCheck] = {}
    for name in reversed(names):
        found |= {check.template: check for check in run.manifest.probes if check.name == name}
    return found


def exchange(check: ProbeCheck, label: str = "") -> list[Evidence]:
    """What was asked in a check and what came: heads as they were, of bodies the beginning. The run
    has more of them."""
    prefix = f"{label}_" if label else ""
    asked, came = shortened(check.request), shortened(check.response)
    return [
        Evidence(f"{prefix}request", escaped(asked), "", None, SOURCE),
        Evidence(f"{prefix}response", escaped(came) or "(none)", "", None, SOURCE),
    ]


def shortened(text: str) -> str:
    """A message with no more than the beginning of its body."""
    head, end, body = text.partition("\r\n\r\n")
    if not end:
        head, body = "", text
    left = len(body) - MOST_BODY
    return f"{head}{end}{body[:MOST_BODY]} ... {left:,} more" if left > 0 else text


def escaped(text: str) -> str:
    """On one line, control characters as in a Python string."""
    return text.encode("unicode_escape").decode("ascii")


def posts(run: Run) -> list[RequestTemplate]:
    """The templates with a body whose answer is required, each once."""
    return [
        template
        for template in dict.fromkeys(run.manifest.scenario.templates)
        if template.payload_length
        and template.raw is None
        and template.expect.answer is Answer.REQUIRED
    ]


def not_asked(run: Run, *, bodies: bool = False) -> str:
    """Why no form of a request was tried; '' when some may have been."""
    protocol = run.manifest.scenario.protocol
    if protocol is not Protocol.HTTP:
        return f"forms of requests are not tried over {protocol.value}"
    if bodies and not posts(run):
        return "the scenario sends no request with a body"
    if not run.manifest.probes:
        return "the run ended before the probes"
    return ""


def only_long(run: Run) -> str:
    """That no small request could be timed, where the load has none; else ''."""
    if all(each.payload_length > INLINE_BODY for each in run.manifest.scenario.templates):
        return "the scenario sends long bodies only"
    return ""


def names_of(templates: Sequence[str], run: Run) -> str:
    """Some templates in words: `get`, `get, post`, or all of them."""
    every = {template.name for template in run.manifest.scenario.templates}
    if len(every) > 1 and set(templates) == every:
        return f"all {len(every)} kinds of requests"
    shown = ", ".join(templates[:3])
    return shown if len(templates) <= 3 else f"{shown} and {len(templates) - 3} more"


def share(templates: Sequence[str], run: Run) -> float:
    """The share of the rotation that these templates make up."""
    rotation = run.manifest.scenario.templates
    return sum(each.name in templates for each in rotation) / max(1, len(rotation))
