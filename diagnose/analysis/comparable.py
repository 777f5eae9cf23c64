"""Whether two runs may be compared: in what they differ beside the server."""

from __future__ import annotations

from diagnose.model.run import Run


def differences(base: Run, new: Run) -> list[str]:
    """What differs between two runs beside the server: a sentence each."""
    one, two = base.manifest, new.manifest
    told = {
        "requests": (one.scenario.templates, two.scenario.templates),
        "connections": (one.connections, two.connections),
        "pipeline depth": (one.scenario.pipeline, two.scenario.pipeline),
        "requests per connection": (
            one.scenario.requests_per_connection,
            two.scenario.requests_per_connection,
        ),
        "rate": (one.scenario.rate, two.scenario.rate),
        "protocol": (
            (one.scenario.protocol, one.scenario.tls),
            (two.scenario.protocol, two.scenario.tls),
        ),
        "pace of the clients": (
            (one.scenario.send_rate, one.scenario.read_rate),
            (two.scenario.send_rate, two.scenario.read_rate),
        ),
        "seconds of warm-up": (one.scenario.warmup_s, two.scenario.warmup_s),
        "seconds of the window": (one.scenario.duration_s, two.scenario.duration_s),
        "CPUs of the server": (one.host.server_cpus, two.host.server_cpus),
        "CPUs of the load": (one.host.load_cpus, two.host.load_cpus),
        "CPU model": (one.host.cpu_model, two.host.cpu_model),
        "CPUs of the host": (one.host.cpus, two.host.cpus),
        "memory of the host": (one.host.memory_bytes, two.host.memory_bytes),
        "kernel": (one.host.kernel, two.host.kernel),
        "load generator": (_generator(base), _generator(new)),
        "load workers": (_workers(base), _workers(new)),
    }
    return [
        f"{what}: {_shown(what, before)} and {_shown(what, after)}"
        for what, (before, after) in told.items()
        if before != after
    ]


def _generator(run: Run) -> str:
    return run.load.generator if run.load else "none"


def _workers(run: Run) -> int:
    return len(run.load.workers) if run.load else 0


def _shown(what: str, value: object) -> str:
    if what == "requests" and isinstance(value, tuple):
        return ", ".join(dict.fromkeys(template.name for template in value))
    return str(value)
