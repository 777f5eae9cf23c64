"""Lines that every report for people shares: the setting, the figures, the verdict in one line."""

from __future__ import annotations

from collections import Counter

from diagnose.analysis.held import held_lines
from diagnose.model.finding import PROFILE_ONLY, Finding, Kind, Verdict
from diagnose.model.report import Analyzed
from diagnose.units import format_bytes, format_rate, format_seconds, format_value


def setting(item: Analyzed) -> str:
    """What was measured, on what."""
    manifest = item.run.manifest
    kinds = Counter(manifest.launch.runtimes.values())
    runtime = ", ".join(
        f"{count} x {kind}" if count > 1 else kind for kind, count in kinds.most_common(3)
    )
    host = manifest.host
    scenario = manifest.scenario
    extra = ""
    if scenario.pipeline > 1:
        extra += f", pipeline {scenario.pipeline}"
    if scenario.requests_per_connection:
        extra += f", {scenario.requests_per_connection} requests per connection"
    if scenario.tls:
        extra += ", TLS"
    if scenario.rate:
        extra += f", {scenario.rate:g} requests/s due"
    if scenario.ramp_s:
        extra += f", opened over {scenario.ramp_s:g} s"
    if scenario.send_rate:
        extra += f", each sends {format_bytes(scenario.send_rate)}/s"
    if scenario.read_rate:
        extra += f", each reads {format_bytes(scenario.read_rate)}/s"
    return (
        f"{scenario.name}, {manifest.connections} connections{extra}, "
        f"{item.figures['duration_s'] or 0:.1f} s; {manifest.launch.name}"
        + (f" ({runtime})" if runtime else "")
        + f" on {len(host.server_cpus)} of {len(host.cpus)} cores, {host.cpu_mode}"
    )


def figure_rows(item: Analyzed) -> list[tuple[str, str]]:
    """(name, figures) of one screen."""
    f = item.figures
    rows = [("throughput", _throughput(item)), ("latency", _latency(item))]
    if f["cpu_cores"] is not None:
        cpu = f"server {f['cpu_cores']:.2f} cores, load generator {f['load_cores']:.2f}"
        if f["idle_cores"] is not None:
            cpu += f", idle {f['idle_cores']:.2f}"
        if f["foreign_cores"] is not None and f["foreign_cores"] > 0.1:
            cpu += f", other programs {f['foreign_cores']:.2f}"
        rows.append(("CPU", cpu))
    if f["memory_peak_bytes"] is not None and f["memory_baseline_bytes"] is not None:
        rows.append(
            (
                "memory",
                f"{format_bytes(f['memory_baseline_bytes'])} before load, peak "
                f"{format_bytes(f['memory_peak_bytes'])} "
                f"(RSS with file pages {format_bytes(f['peak_rss_bytes'] or 0)})",
            )
        )
    load = item.run.load
    stood = f"{f['connections']}"
    if f["established"] is not None:
        stood = f"{f['established']} of {stood} at the end"
    again = "" if f["reconnects"] is None else f", {f['reconnects']:,} reconnects"
    rows.append(
        (
            "connections",
            f"{stood}{again}, {f['responses_per_connection']:,.1f} responses per connection",
        )
    )
    failed = f"{f['errors']:,}"
    if load and load.failures:
        kinds = sorted(load.failures.items(), key=lambda entry: -entry[1])
        failed += " (" + ", ".join(f"{kind.replace('_', ' ')} {n:,}" for kind, n in kinds) + ")"
    if f["unanswered"]:
        cut = item.run.manifest.state == "interrupted"
        failed += f", {f['unanswered']:,} " + ("in flight at the end" if cut else "not answered")
    rows.append(("failures", failed))
    return rows


def _throughput(item: Analyzed) -> str:
    f = item.figures
    load = item.run.load
    checked = load is None or load.generator == "diagnose"
    what = "right responses/s" if checked else "2xx responses/s, bodies not checked"
    text = f"{format_rate(f['rps'] or 0).removesuffix('/s')} {what}"
    text += f" ({f['responses']:,} responses)"
    if item.run.manifest.scenario.has_large_bodies:
        text += f"; bodies answered {format_bytes(f['body_answered_per_s'] or 0)}/s"
        if f["bytes_sent_per_s"] is not None:
            text += f", sent {format_bytes(f['bytes_sent_per_s'])}/s"
    return text


def _latency(item: Analyzed) -> str:
    f = item.figures
    if f["p50_s"] is None:
        return "nothing was answered"
    names = (("p50", "p50_s"), ("p90", "p90_s"), ("p99", "p99_s"), ("p99.9", "p999_s"))
    parts = [f"{name} {format_seconds(f[key] or 0)}" for name, key in names]
    return ", ".join([*parts, f"max {format_seconds(f['max_s'] or 0)}"])


def caveats(item: Analyzed) -> list[str]:
    """What a reader must know before quoting the figures."""
    notes = list(item.run.manifest.notes)
    load = item.run.load
    if load is not None and load.generator != "diagnose":
        notes += [f"loaded by {load.generator}: {caveat}" for caveat in load.caveats]
    if load is not None and load.overdue:
        notes.append(
            f"{load.overdue:,} requests were due and not sent: the server (or the generator: see "
            f"client_saturated) did not keep up with {load.rate:g} requests/s on these connections"
        )
    return notes


def headline(item: Analyzed) -> str:
    """The verdict in one line."""
    found = [finding for finding in item.findings if finding.verdict is Verdict.FOUND]
    state = item.run.manifest.state
    how = {"running": "it was killed", "interrupted": "interrupted", "failed": "failed"}
    prefix = "" if state == "complete" else f"partial run ({how.get(state, state)}): "
    invalid = [finding.id for finding in found if finding.undoes_figures]
    profile = [finding.id for finding in found if finding.id in PROFILE_ONLY]
    causes = [finding.id for finding in found if finding.kind is Kind.CAUSE]
    symptoms = [finding.id for finding in found if finding.kind is Kind.SYMPTOM]
    if not found:
        return prefix + "nothing found"
    parts = []
    if causes:
        parts.append(f"cause: {', '.join(causes)}")
    if symptoms:
        parts.append(f"symptom: {', '.join(symptoms)}")
    if invalid:
        # What rests on the measurement was held back by then.
        beside = " (what was found does not rest on it)" if causes or symptoms else ""
        parts.append(f"the measurement is not valid: {', '.join(invalid)}{beside}")
    if profile:
        parts.append(f"the profile is not to be trusted: {', '.join(profile)}")
    return prefix + "; ".join(parts)


def explanation(finding: Finding) -> str:
    """Which found causes bring a found symptom about, or that none does; '' for all else."""
    if finding.unexplained:
        return "nothing found explains it"
    if finding.explained_by:
        return f"explained by {', '.join(finding.explained_by)}"
    return ""


def short_frame(frame: str, limit: int = 48) -> str:
    """A stack frame without the folders of its file: `handler (app.py:12)`."""
    name, paren, place = frame.partition(" (")
    short = name + (f" ({place.rpartition('/')[2]}" if paren else "")
    return short if len(short) <= limit else "..." + short[3 - limit :]


def held_text(item: Analyzed, limit: int = 3) -> str:
    """The lines that held or allocated most memory in a second launch; '' without a profile."""
    return ", ".join(
        f"{line.at.short} {format_bytes(line.bytes)} ({line.how})"
        for line in held_lines(item.run.memory_profiles, limit)
    )


def evidence_line(finding: Finding, limit: int = 3) -> str:
    """The first figures behind a verdict."""
    parts = []
    for row in finding.evidence[:limit]:
        text = f"{row.metric} {format_value(row.value, row.unit)}"
        if row.threshold is not None:
            text += f" (limit {format_value(row.threshold, row.unit)})"
        parts.append(text)
    return ", ".join(parts)
