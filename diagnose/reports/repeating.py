"""The command that makes the same run again."""

from __future__ import annotations

import shlex

from diagnose.model.report import Analyzed


def command_line(item: Analyzed) -> str:
    """It, quoted for a shell."""
    return shlex.join(["diagnose", *(item.run.manifest.invocation or _made_up(item))])


def fenced(command: str) -> list[str]:
    """The command as a code block of Markdown, whatever backquotes it holds."""
    fence = "```"
    while fence in command:
        fence += "`"
    return [fence, command, fence]


def _made_up(item: Analyzed) -> list[str]:
    """Arguments for a run that was not started by command line."""
    manifest = item.run.manifest
    launch, scenario = manifest.launch, manifest.scenario
    shared = [
        *(scenario.name, "-c", str(manifest.connections), "-d", f"{scenario.duration_s:g}"),
        *("-p", str(scenario.pipeline), "-r", str(scenario.requests_per_connection)),
    ]
    if launch.attached:
        host = f"[{launch.host}]" if ":" in launch.host else launch.host
        return ["attach", *shared, "--pid", "PID", "--url", f"http://{host}:{launch.port}"]
    place = ["--host", launch.host, "--port", str(launch.port)]
    return ["run", *shared, *place, "--", *launch.command]
