"""nginx, with a worker for each core."""

from __future__ import annotations

import sys

from reference_server.gallery.building import Recipe
from reference_server.gallery.case import HERE, Case, Group, Needs
from reference_server.made_once import EDITION

NEEDS = Needs(programs=("nginx", "sh", "sed"))
# The files of the profile `static`, as the reference server makes them.
MAKE_STATIC = (
    "from pathlib import Path; from reference_server.static_files import make_files; "
    f"make_files(Path('static'))  # edition {EDITION}"
)
RECIPE = Recipe(("nginx/nginx.conf",), ((sys.executable, "-c", MAKE_STATIC),))
# nginx cannot read a port from its environment. It reads its configuration once, so the file with
# the port in it is gone before it serves. Workers of root would be another user's, and could not
# read the files.
START = """used=$(mktemp) && sed "s/PORT/$PORT/" "$0/nginx.conf" > "$used" && exec 3< "$used" &&
rm "$used" && exec nginx -p "$0" -c /proc/self/fd/3 \
-g "worker_processes $(nproc); user $(id -un);"
"""
COMMAND = ("sh", "-c", START, HERE)

CASES = (
    Case(
        name="nginx_pipelined",
        group=Group.HEALTHY,
        runtime="nginx",
        title="nginx that answers by itself",
        command=COMMAND,
        recipe=RECIPE,
        needs=NEEDS,
        healthy=True,
        scenario="pipelined",
        connections=512,
        false_findings=("pipelining_serialized", "single_threaded", "worker_imbalance"),
    ),
    Case(
        name="nginx_static",
        group=Group.HEALTHY,
        runtime="nginx",
        title="nginx that serves files",
        command=COMMAND,
        recipe=RECIPE,
        needs=NEEDS,
        healthy=True,
        scenario="static",
        connections=256,
        false_findings=("keepalive_capped", "connection_closed", "syscall_heavy"),
    ),
    Case(
        name="nginx_4096",
        group=Group.EDGE,
        runtime="nginx",
        title="nginx with 4096 connections",
        command=COMMAND,
        recipe=RECIPE,
        needs=NEEDS,
        healthy=True,
        scenario="get",
        run_options=("--path", "/pipeline"),
        connections=4096,
        false_findings=("connection_cap", "accept_bottleneck", "unfair", "memory_per_connection"),
    ),
)
