"""The run over time as charts, seconds since the start of the run: plain lists, ready for JSON."""

from __future__ import annotations

from typing import Any

from diagnose.model.run import Run
from diagnose.reports.chart import document, reduced
from diagnose.reports.load_charts import of_ticks
from diagnose.reports.server_charts import of_samples


def origin(run: Run) -> float:
    """The moment that the charts count from."""
    return run.manifest.phases[0].started if run.manifest.phases else 0.0


def charts(run: Run, points: int) -> list[dict[str, Any]]:
    """Every chart that has data, with at most about that many points a line."""
    start = origin(run)
    made = [*of_ticks(run), *of_samples(run)]
    return [document(reduced(chart, points), start) for chart in made if chart.has_data]


def phases(run: Run) -> list[dict[str, Any]]:
    """Name, start and end of each phase; the last sample ends one that was not ended."""
    start = origin(run)
    last = max((sample.t for sample in run.samples[-1:]), default=start)
    return [
        {
            "name": span.name,
            "from": round(span.started - start, 3),
            "to": round((span.ended if span.ended is not None else last) - start, 3),
        }
        for span in run.manifest.phases
    ]
