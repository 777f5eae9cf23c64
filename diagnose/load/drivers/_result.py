"""A driver's report as the LoadResult of a run: what it did not tell is 0, and said."""

from __future__ import annotations

from collections.abc import Iterable

from diagnose.load.drivers._driver import DriverOutputError, DriverReport
from diagnose.model.load import (
    Failure,
    FailureExample,
    LoadResult,
    TemplateResult,
    WorkerCost,
)
from diagnose.model.scenario import Answer, Protocol, Scenario


def result(
    report: DriverReport,
    scenario: Scenario,
    connections: int,
    wall_s: float,
    cpu_s: float,
    started: float,
    caveats: tuple[str, ...],
    name: str,
    interrupted: bool = False,
) -> LoadResult:
    """The measured window as the driver told it. Pure.

    wall_s, cpu_s: of the driver's processes from start to end. started: when it was started
    (monotonic). caveats: of the judgement. name: of the driver. interrupted: it was told to end.

    Raises: DriverOutputError when another protocol than the scenario's was spoken.
    """
    _check_protocol(report, scenario, name)
    ok, tolerated, wrong = _sorted_out(report.status, scenario)
    failures, forgiven = _failures(report, scenario)
    examples = [example for example in report.examples if example.kind in failures]
    if wrong:
        failures[Failure.WRONG_STATUS.value] = sum(wrong.values())
        examples.append(_wrong_status(wrong))
    body_answered = _body_answered(scenario, ok)
    return LoadResult(
        connections=connections,
        established=0,
        duration_s=report.duration_s or wall_s,
        responses=report.responses,
        ok=ok,
        failures=failures,
        status_classes=dict(report.status),
        bytes_sent=0,
        bytes_received=report.bytes_received or 0,
        body_sent=0,
        body_answered=body_answered or 0,
        opens=report.reconnects or 0,
        server_closes=0,
        close_announced=0,
        unanswered_at_close=0,
        early_answers=0,
        late_responses=0,
        unanswered=0,
        unanswered_stalled_s=0.0,
        drain_s=0.0,
        drain_progress=False,
        bodies_checked=0,
        connect_p50_s=0.0,
        connect_max_s=0.0,
        latency=report.latency,
        templates=_templates(report, scenario, sum(failures.values())),
        workers=(
            WorkerCost(
                worker=0,
                wall_s=wall_s,
                cpu_s=cpu_s,
                run_queue_s=0.0,
                blocked_s=0.0,
                loops=0,
                external=True,
            ),
        ),
        examples=tuple(examples),
        interrupted=interrupted,
        started=started + report.warmup_s,
        histogram=dict(report.histogram),
        generator=name,
        caveats=tuple(
            dict.fromkeys(
                (
                    *caveats,
                    *report.caveats,
                    *_untold(report, name, body_answered is None),
                    *_uncertain(scenario, forgiven),
                )
            )
        ),
        tolerated=tolerated + forgiven,
        rate=scenario.rate,
    )


def _check_protocol(report: DriverReport, scenario: Scenario, name: str) -> None:
    if not report.protocol or report.protocol.startswith("h2") is (
        scenario.protocol is Protocol.H2
    ):
        return
    raise DriverOutputError(
        f"{name} and the server spoke {report.protocol}, and the scenario {scenario.name} is "
        f"{'HTTP/2' if scenario.protocol is Protocol.H2 else 'HTTP/1.1'}: the server did not "
        "negotiate it; look at its TLS and protocol settings"
    )


def _sorted_out(status: dict[str, int], scenario: Scenario) -> tuple[int, int, dict[str, int]]:
    """Responses that are 2xx, otherwise right, and wrong (by class), as far as classes tell."""
    digits = {
        str(code // 100)
        for template in scenario.templates
        for code in template.expect.status or (200,)
    }
    anything = _anything(scenario)
    ok = tolerated = 0
    wrong: dict[str, int] = {}
    for name, count in status.items():
        if name == "2xx" and (anything or "2" in digits):
            ok += count
        elif anything or any(digit in name for digit in digits):
            tolerated += count
        else:
            wrong[name] = count
    return ok, tolerated, wrong


def _anything(scenario: Scenario) -> bool:
    return any(template.expect.answer is Answer.ANY for template in scenario.templates)


def _failures(report: DriverReport, scenario: Scenario) -> tuple[dict[str, int], int]:
    """Failures, and the number of those that may be right: the end of a connection is an answer
    to a request that is broken on purpose, and a driver does not tell which request it ended."""
    if not _anything(scenario):
        return dict(report.errors), 0
    sure = {Failure.CONNECT_ERROR.value, Failure.REFUSED.value}
    failures = {kind: count for kind, count in report.errors.items() if kind in sure}
    return failures, sum(report.errors.values()) - sum(failures.values())


def _wrong_status(wrong: dict[str, int]) -> FailureExample:
    said = ", ".join(f"{count} responses with {name}" for name, count in wrong.items())
    return FailureExample(Failure.WRONG_STATUS.value, "", said)


def _body_answered(scenario: Scenario, ok: int) -> int | None:
    """Request body bytes behind the 2xx responses; None when requests differ in it."""
    lengths = {template.payload_length for template in scenario.templates}
    return ok * lengths.pop() if len(lengths) == 1 else None


def _templates(
    report: DriverReport, scenario: Scenario, failures: int
) -> tuple[TemplateResult, ...]:
    """Only where there is one template does a driver tell what became of it."""
    names = {template.name for template in scenario.templates}
    if len(names) > 1:
        return ()
    return (TemplateResult(names.pop(), report.responses, failures, report.latency),)


def _untold(report: DriverReport, name: str, bodies_differ: bool) -> Iterable[str]:
    missing = [
        *("bytes sent", "connections established and closed"),
        *(["connections opened again"] if report.reconnects is None else []),
        *(["bytes received"] if report.bytes_received is None else []),
        *(["request body bytes"] if bodies_differ else []),
        "unanswered requests",
    ]
    yield f"{name} does not tell {', '.join(missing)}: these are 0"
    if report.latency_samples is None or not report.latency.samples:
        yield "no latency percentiles"
    else:
        if not report.histogram:
            yield "no latency histogram, only percentiles"
        if not report.latency.max_s:
            yield f"{name} does not tell the longest latency"
        if not report.latency.p999_s:
            yield f"{name} does not tell the 99.9th percentile"
    if not report.responses and not report.errors:
        yield (
            f"{name} got no response and tells no reason: the server refuses, closes, is silent "
            "or speaks another protocol"
        )


def _uncertain(scenario: Scenario, forgiven: int) -> Iterable[str]:
    if forgiven:
        yield (
            f"{forgiven} connections ended or timed out and are taken for answers to requests "
            "that may get any"
        )
    if any(template.expect.status for template in scenario.templates):
        yield "statuses are compared by class (2xx to 5xx) only"
