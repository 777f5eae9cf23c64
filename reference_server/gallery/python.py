"""Healthy servers for Python applications, each with a process for each core."""

from __future__ import annotations

import dataclasses
import sys

from reference_server.gallery.case import Case, Group, Needs

APPS = "reference_server.gallery.sources.python"
# `$0` is this interpreter: the servers are modules of its environment. nproc obeys the CPU set.
UVICORN = (
    'exec "$0" -m uvicorn --workers "$(nproc)" --host 127.0.0.1 --port "$PORT" --loop uvloop '
    f"--http httptools --backlog 16384 --no-access-log --log-level warning {APPS}.asgi_app:app"
)
GRANIAN = (
    'exec "$0" -m granian --interface asgi --workers "$(nproc)" --host 127.0.0.1 --port "$PORT" '
    f"--backlog 16384 --log-level warning {APPS}.asgi_app:app"
)
GEVENT = (
    'exec "$0" -m gunicorn -k gevent -w "$(nproc)" -b "127.0.0.1:$PORT" --backlog 16384 '
    f"--worker-connections 20000 --keep-alive 75 --log-level warning {APPS}.wsgi_app:app"
)
GTHREAD = (
    'exec "$0" -m gunicorn -k gthread -w "$(nproc)" --threads 32 -b "127.0.0.1:$PORT" '
    f"--backlog 16384 --keep-alive 75 --log-level warning {APPS}.wsgi_app:app"
)


def shell(script: str) -> tuple[str, ...]:
    """The command that runs a script with this interpreter as `$0`."""
    return ("sh", "-c", script, sys.executable)


def _baseline(name: str, title: str, script: str, *modules: str) -> Case:
    return Case(
        name=name,
        group=Group.HEALTHY,
        runtime="python",
        title=title,
        command=shell(script),
        needs=Needs(modules=modules),
        healthy=True,
        scenario="baseline",
        connections=64,
        possible_findings=("slower_than_reference",),
        false_findings=("single_threaded", "gil_bound", "blocking_event_loop", "worker_imbalance"),
    )


def _uploading(case: Case) -> Case:
    """The same server under uploads; its application counts them while they arrive."""
    return dataclasses.replace(
        case,
        name=f"{case.name}_streaming",
        title=f"{case.title}; counts an upload while it arrives",
        scenario="upload-20mb",
        false_findings=("body_buffered", "body_copied", "body_spooled", "memory_blowup"),
    )


BASELINES = (
    _baseline("uvicorn", "uvicorn with workers", UVICORN, "uvicorn", "uvloop", "httptools"),
    _baseline("granian", "granian with workers", GRANIAN, "granian"),
    _baseline("gunicorn_gevent", "gunicorn with gevent workers", GEVENT, "gunicorn", "gevent"),
    _baseline("gunicorn_gthread", "gunicorn with threads", GTHREAD, "gunicorn"),
)
CASES = (*BASELINES, *(_uploading(case) for case in BASELINES[:3]))
