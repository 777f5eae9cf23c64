"""The server answers, but not what the contract says: another status, content type or body.

Every status, length and exact body is compared, of JSON bodies a share; the probes before the load
compare each template once and show the exchange. Found from three wrong bodies on, however seldom
they come, and from one wrong status in a thousand on, three at the least; fewer are unknown.
Figures of throughput are then figures of something else.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import not_told
from diagnose.analysis.probed import exchange
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import Failure, LoadResult
from diagnose.model.run import ProbeCheck, Run

KIND = Kind.SYMPTOM
NEEDS: tuple[str, ...] = ()

KINDS = (Failure.WRONG_STATUS.value, Failure.WRONG_BODY.value)
WRONG_SHARE = 0.001
MIN_WRONG = 3
# With fewer in all, one kind may have had no turn.
MIN_RESPONSES = 1000


def check(run: Run) -> Finding:
    """Found when a probe's answer was wrong, or one response in a thousand under load."""
    load = run.load
    failed = [probe for probe in run.manifest.probes if probe.outcome == "fail"]
    if load is None and not failed:
        return unknown(__name__, KIND, "the measured window gave no result")
    wrong = sum(load.failures.get(kind, 0) for kind in KINDS) if load else 0
    # A refused upgrade is a wrong answer that no response stands for.
    responses = max(load.responses, wrong) if load else 0
    share = 0.0
    if load:
        # Of bodies only a part may be compared: a wrong one stands for those that were not.
        bodies = load.failures.get(Failure.WRONG_BODY.value, 0)
        # A wrong content type is seen on every response and counts as a wrong body too.
        compared = load.bodies_checked if 0 < bodies <= load.bodies_checked else responses
        share = max((wrong - bodies) / max(1, responses), bodies / max(1, compared))
    rows = [Evidence("wrong_share", share, "ratio", WRONG_SHARE, "load.json")]
    for example in load.examples if load else ():
        if example.kind in KINDS:
            text = ": ".join(filter(None, (example.template, example.detail)))
            rows.append(Evidence("example", text, "", None, "load.json"))
    rows += [_probe_row(probe) for probe in failed[:3]]
    rows += [row for probe in failed[:1] for row in exchange(probe)]
    # A wrong status may be a moment's overload; a wrong body is a fault however seldom it comes.
    bodies = load.failures.get(Failure.WRONG_BODY.value, 0) if load else 0
    under_load = (wrong >= MIN_WRONG and share >= WRONG_SHARE) or bodies >= MIN_WRONG
    if failed or under_load:
        claim = f"{wrong} of {responses} responses were wrong"
        if failed:
            first = failed[0]
            claim += f"; on the idle server, {first.template} ({first.name}): {first.detail}"
            if silent := _without_response(load):
                rows.append(Evidence("without_response", silent, "", None, "load.json"))
                claim += f"; {silent} had no response in the window: the load was another mix"
        elif len(rows) > 1:
            claim += f": {rows[1].value}"
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            claim,
            rows,
            "compare the exchange in run.json (probes) with the contract; `diagnose scenarios "
            f"{run.manifest.scenario.name}` shows what is sent and expected",
            explains=max(share, 0.01),
        )
    if wrong:
        why = f"{wrong} of {responses} responses were wrong: too few to call it a symptom"
        return unknown(__name__, KIND, why, rows)
    if responses == 0:
        return unknown(__name__, KIND, "nothing was answered", rows)
    if (driver := not_told(run)) and load and not load.bodies_checked:
        return unknown(
            __name__, KIND, f"{driver} looked at the status of {responses} responses only", rows
        )
    return finding(
        __name__, KIND, Verdict.CLEAR, f"{wrong} of {responses} responses were wrong", rows
    )


def _without_response(load: LoadResult | None) -> str:
    """Kinds of requests that the window has no response of, while others have many: a wrong answer
    closes its connection, and the next kind is sent on the new one."""
    templates = load.templates if load and load.responses >= MIN_RESPONSES else ()
    return ", ".join(part.name for part in templates if not part.responses)


def _probe_row(probe: ProbeCheck) -> Evidence:
    shown = f"{probe.template}, {probe.name}: {probe.detail}"
    return Evidence("probe", shown, "", None, "run.json")
