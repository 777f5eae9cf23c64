"""Probes of requests with a body in their forms, for the rules that read them."""

from __future__ import annotations

from typing import Any

from diagnose.model.run import ProbeCheck, Run
from diagnose.model.scenario import Expectation, RequestTemplate
from tests.builders import GET, make_run, make_scenario

LENGTH = RequestTemplate("post", "POST", "/?a=1", body="20", expect=Expectation(body="21"))
CHUNKED = RequestTemplate(
    "chunk", "POST", "/?a=1", body="20", chunked=True, expect=Expectation(body="21")
)
UPLOAD = RequestTemplate(
    "upload", "POST", "/upload", body_length=1000, expect=Expectation(body="1000")
)


def seen(name: str, template: str, outcome: str = "pass", **changes: Any) -> ProbeCheck:
    """A check with bytes of its own."""
    values: dict[str, Any] = {
        "detail": "" if outcome == "pass" else f"{name} went wrong",
        "request": f"asked {name}",
        "response": f"answered {name}",
        "status": 200,
    }
    return ProbeCheck(name, template, outcome, **{**values, **changes})


def forms_run(*probes: ProbeCheck, templates: tuple[RequestTemplate, ...], **changes: Any) -> Run:
    """A run of these templates whose probes came to this."""
    return make_run(scenario=make_scenario(templates=templates), probes=probes, **changes)


GET_ONLY = forms_run(seen("plain", "get"), templates=(GET,))
NOT_PROBED = forms_run(templates=(LENGTH,))
