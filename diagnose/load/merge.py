"""Windows of several workers as one result; histograms merge by addition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from diagnose.load.histogram import Histogram
from diagnose.load.worker import WorkerReport
from diagnose.model.load import LoadPlan, LoadResult, TemplateResult, WorkerCost


def merge(plan: LoadPlan, reports: Sequence[WorkerReport]) -> LoadResult:
    """One LoadResult from the reports of all workers of a load (at least one)."""
    windows = [report.window for report in reports]
    numbers: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    whole = Histogram()
    templates: dict[str, tuple[int, int, Histogram]] = {}
    connect_times: list[float] = []
    for part in windows:
        numbers.update(part.numbers)
        failures.update(part.failures)
        statuses.update(part.status_classes)
        connect_times += part.connect_times
        for name, responses, failed, counts in part.templates:
            histogram = Histogram(counts)
            whole.merge(histogram)
            if name in templates:
                before = templates[name]
                histogram.merge(before[2])
                responses, failed = responses + before[0], failed + before[1]
            templates[name] = (responses, failed, histogram)
    drain_failures: Counter[str] = Counter()
    for report in reports:
        drain_failures.update(report.drain_failures)
    connect_times.sort()
    duration = sum(part.wall_s for part in windows) / len(windows)
    return LoadResult(
        connections=plan.total_connections,
        established=sum(part.established for part in windows),
        duration_s=duration,
        responses=numbers["responses"],
        ok=numbers["ok"],
        failures=dict(failures),
        status_classes=dict(statuses),
        bytes_sent=numbers["bytes_sent"],
        bytes_received=numbers["bytes_received"],
        body_sent=numbers["body_sent"],
        body_answered=numbers["body_answered"],
        opens=numbers["opens"],
        server_closes=numbers["server_closes"],
        close_announced=numbers["close_announced"],
        unanswered_at_close=numbers["unanswered_at_close"],
        early_answers=numbers["early_answers"],
        late_responses=sum(report.late for report in reports),
        unanswered=sum(report.unanswered for report in reports),
        unanswered_stalled_s=max(report.unanswered_stalled_s for report in reports),
        drain_s=max(report.drain_s for report in reports),
        drain_progress=any(report.drain_progress for report in reports),
        drain_failures=dict(drain_failures),
        bodies_checked=numbers["bodies_checked"],
        connect_p50_s=connect_times[len(connect_times) // 2] if connect_times else 0.0,
        connect_max_s=connect_times[-1] if connect_times else 0.0,
        latency=whole.latency(),
        templates=tuple(
            TemplateResult(name, responses, failed, histogram.latency())
            for name, (responses, failed, histogram) in templates.items()
        ),
        workers=tuple(_cost(report) for report in reports),
        examples=tuple(
            {
                example.kind: example for part in reversed(windows) for example in part.examples
            }.values()
        ),
        interrupted=any(report.interrupted for report in reports),
        started=min(part.started for part in windows),
        histogram=whole.counts(),
    )


def _cost(report: WorkerReport) -> WorkerCost:
    part = report.window
    lags = part.lags
    mine = Histogram()
    for _, _, _, counts in part.templates:
        mine.merge(Histogram(counts))
    return WorkerCost(
        worker=report.worker,
        wall_s=part.wall_s,
        cpu_s=part.cpu_s,
        run_queue_s=part.run_queue_s,
        blocked_s=max(0.0, part.wall_s - part.cpu_s - part.run_queue_s),
        loops=part.numbers["loops"],
        lag_samples=len(lags),
        lag_p50_s=lags[len(lags) // 2] if lags else None,
        lag_p99_s=lags[len(lags) * 99 // 100] if lags else None,
        latency_p50_s=mine.percentile(50) if mine.samples else None,
    )
