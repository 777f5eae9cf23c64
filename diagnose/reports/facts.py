"""The large figures and the machine, as the page shows them."""

from __future__ import annotations

from collections.abc import Sequence

from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from diagnose.reports.page import cut
from diagnose.units import format_bytes, format_rate, format_seconds


def tiles(item: Analyzed) -> list[dict[str, str]]:
    """The figures that are asked for first, large."""
    f, run = item.figures, item.run
    cores = len(run.manifest.host.server_cpus)
    made = []

    def tile(name: str, value: str, sub: str = "") -> None:
        number, _, unit = value.partition(" ")
        made.append({"name": name, "value": number, "unit": unit, "sub": sub})

    tile(
        "throughput",
        f"{format_rate(f['rps'] or 0).removesuffix('/s')} responses/s",
        f"{f['responses'] or 0:,} in {f['duration_s'] or 0:.1f} s",
    )
    if f["p50_s"] is not None:
        tile("latency p50", format_seconds(f["p50_s"]), f"p99 {format_seconds(f['p99_s'] or 0)}")
    if f["cpu_cores"] is not None:
        sub = "" if f["idle_cores"] is None else f"{f['idle_cores']:.2f} idle"
        tile("CPU of the server", f"{f['cpu_cores']:.2f} of {cores} cores", sub)
    if f["memory_peak_bytes"] is not None:
        before = f["memory_baseline_bytes"]
        sub = "" if before is None else f"{format_bytes(before)} before the load"
        tile("memory at its peak", format_bytes(f["memory_peak_bytes"]), sub)
    asked = (f["responses"] or 0) + (f["errors"] or 0)
    share = f"{(f['errors'] or 0) / asked:.1%} of the requests" if f["errors"] and asked else ""
    tile("failures", f"{f['errors'] or 0:,}", share)
    return made


def host_rows(run: Run) -> list[tuple[str, str]]:
    """The machine, the server and its limits."""
    manifest = run.manifest
    host, launch = manifest.host, manifest.launch
    runtimes = sorted(set(launch.runtimes.values()))
    limits = sorted(set(launch.descriptor_limits.values()))
    rows = [
        ("processor", f"{host.cpu_model}, {len(host.cpus)} cores"),
        ("memory", f"{format_bytes(host.memory_bytes)}, {format_bytes(host.available_bytes)} free"),
        ("kernel", f"Linux {host.kernel}"),
        ("server on CPUs", _cpus(host.server_cpus)),
        ("load on CPUs", f"{_cpus(host.load_cpus)} ({host.cpu_mode})"),
        ("server command", " ".join(launch.command) or f"attached to PID {launch.pid}"),
        ("server runtime", ", ".join(runtimes) or "not recognized"),
        ("ready after", format_seconds(launch.ready_after_s)),
        ("descriptor limit", ", ".join(f"{limit:,}" for limit in limits) or "not read"),
        ("somaxconn", f"{host.somaxconn:,}"),
        ("memory limit", format_bytes(manifest.guard.limit_bytes)),
        ("samples", f"{len(run.samples):,}, {manifest.sample_rate_hz:g} a second"),
        ("diagnose", f"{manifest.version}, Python {host.python}"),
        ("recorded", manifest.created),
    ]
    return [(name, cut(text)) for name, text in rows]


def _cpus(cpus: Sequence[int]) -> str:
    """`0-3,6`."""
    parts: list[str] = []
    for cpu in sorted(cpus):
        first, _, last = parts[-1].partition("-") if parts else ("", "", "")
        if parts and int(last or first) == cpu - 1:
            parts[-1] = f"{first}-{cpu}"
        else:
            parts.append(str(cpu))
    return ",".join(parts)
