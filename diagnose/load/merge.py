"""Windows of several workers as one result; histograms merge by addition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from diagnose.load.histogram import Histogram
from diagnose.load.shares import interleaved, silent_late_share, spread
from diagnose.load.tally import TemplateWindow
from diagnose.load.worker import WorkerReport
from diagnose.model.load import (
    MOST_DISTINCT,
    LoadPlan,
    LoadResult,
    TemplateResult,
    WorkerCost,
)

# Numbers of responses after which connections were ended: the most frequent ones tell.
CLOSE_NUMBERS = 32


def merge(plan: LoadPlan, reports: Sequence[WorkerReport]) -> LoadResult:
    """One LoadResult from the reports of all workers of a load (at least one)."""
    windows = [report.window for report in reports]
    numbers: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    whole, first_bytes, body_sents = Histogram(), Histogram(), Histogram()
    templates: dict[str, list[TemplateWindow]] = {}
    closes: Counter[int] = Counter()
    connects = Histogram()
    for part in windows:
        numbers.update(part.numbers)
        failures.update(part.failures)
        statuses.update(part.status_classes)
        closes.update(part.closes_after)
        connects.merge(Histogram(part.connect_times))
        for template in part.templates:
            if template.required:
                whole.merge(Histogram(template.latencies))
            first_bytes.merge(Histogram(template.first_bytes))
            body_sents.merge(Histogram(template.body_sents))
            templates.setdefault(template.name, []).append(template)
    drain_failures: Counter[str] = Counter()
    for report in reports:
        drain_failures.update(report.drain_failures)
    every = interleaved(
        [report.window.shares for report in sorted(reports, key=lambda report: report.worker)]
    )
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
        connect_p50_s=connects.percentile(50),
        connect_max_s=connects.percentile(100),
        latency=whole.latency(),
        templates=tuple(_template(parts) for parts in templates.values()),
        workers=tuple(_cost(report) for report in reports),
        examples=tuple(
            {
                example.kind: example for part in reversed(windows) for example in part.examples
            }.values()
        ),
        interrupted=any(report.interrupted for report in reports),
        started=min(part.started for part in windows),
        histogram=whole.counts(),
        tolerated=numbers["tolerated"],
        rate=plan.scenario.rate,
        overdue=sum(report.overdue for report in reports),
        first_byte=first_bytes.latency(),
        body_sent_latency=body_sents.latency(),
        proof_s=max(report.proof_s for report in reports),
        connection_responses=spread(every),
        silent_connections=every.responses.count(0) if every.responses else -1,
        silent_late_share=silent_late_share(every),
        closes_after=dict(closes.most_common(CLOSE_NUMBERS)),
    )


def _template(parts: Sequence[TemplateWindow]) -> TemplateResult:
    """One template, as all workers saw it."""
    latencies = Histogram()
    for part in parts:
        latencies.merge(Histogram(part.latencies))
    parsed = sum(part.parsed for part in parts)
    digests = {digest for part in parts for digest in part.body_digests}
    return TemplateResult(
        name=parts[0].name,
        responses=sum(part.responses for part in parts),
        failures=sum(part.failures for part in parts),
        latency=latencies.latency(),
        distinct_bodies=min(len(digests), MOST_DISTINCT) if digests else -1,
        mean_body_bytes=sum(part.body_bytes for part in parts) / parsed if parsed else -1.0,
    )


def _cost(report: WorkerReport) -> WorkerCost:
    part = report.window
    lags = Histogram(part.lags)
    mine = Histogram()
    for template in part.templates:
        if template.required:
            mine.merge(Histogram(template.latencies))
    busy, rwnd_limited, sndbuf_limited = report.send_times
    return WorkerCost(
        worker=report.worker,
        wall_s=part.wall_s,
        cpu_s=part.cpu_s,
        run_queue_s=part.run_queue_s,
        blocked_s=max(0.0, part.wall_s - part.cpu_s - part.run_queue_s),
        loops=part.numbers["loops"],
        lag_samples=lags.samples,
        lag_p50_s=lags.percentile(50) if lags.samples else None,
        lag_p99_s=lags.percentile(99) if lags.samples else None,
        latency_p50_s=mine.percentile(50) if mine.samples else None,
        spin_slowdown=report.proof[1] if report.proof else None,
        spin_s=report.proof[0] if report.proof else 0.0,
        tcp_busy_s=busy,
        tcp_rwnd_limited_s=rwnd_limited,
        tcp_sndbuf_limited_s=sndbuf_limited,
    )
