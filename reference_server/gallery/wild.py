"""Servers that nobody of this project wrote, as they come; the handlers are a few lines each.

docs/gallery-servers.md tells how what is declared here was established.
"""

from __future__ import annotations

import dataclasses
import sys

from reference_server.gallery import java
from reference_server.gallery.building import Recipe
from reference_server.gallery.case import HERE, PORT, Case, Group, Needs
from reference_server.gallery.python import APPS, shell

WWW = Recipe(("www/index.html",))
# One file of 56 bytes, for servers of files.
FILE = ("--path", "/index.html")
PIPELINE = ("--path", "/pipeline")


def _node(name: str, title: str, *modules: str) -> Case:
    """A script of one process."""
    return Case(
        name=name,
        group=Group.WILD,
        runtime="node",
        title=title,
        command=("node", f"{HERE}/{name}.js"),
        recipe=Recipe((f"node/{name}.js",)),
        needs=Needs(programs=("node",), node_modules=modules),
        scenario="get",
        run_options=PIPELINE,
        connections=64,
        true_findings=("single_threaded", "low_cpu"),
        possible_findings=("too_few_workers", "slower_than_reference"),
        false_findings=("blocking_event_loop", "lock_contention", "gc_pressure"),
    )


HTTP_SERVER = Case(
    name="http_server",
    group=Group.WILD,
    runtime="python",
    title="python -m http.server: HTTP/1.0, a thread for each connection",
    command=(sys.executable, "-m", "http.server", "-b", "127.0.0.1", "-d", HERE, PORT),
    recipe=WWW,
    scenario="get",
    run_options=FILE,
    connections=32,
    true_findings=("connection_closed", "logging_per_request", "low_cpu"),
    # Threads take the interpreter's lock in turn; each request starts one; head and body are
    # separate, unbuffered writes; and the accept queue is five long.
    possible_findings=(
        *("gil_bound", "thread_explosion", "syscall_heavy", "accept_bottleneck", "errors"),
        *("slow_tail", "stalls", "unfair", "single_threaded", "slower_than_reference"),
    ),
    false_findings=("keepalive_capped", "delayed_ack", "blocking_event_loop", "cpu_quota"),
)

CASES = (
    HTTP_SERVER,
    Case(
        name="http_server_http11",
        group=Group.WILD,
        runtime="python",
        title="python -m http.server --protocol HTTP/1.1: head and body in two writes, with Nagle",
        command=(*HTTP_SERVER.command, "--protocol", "HTTP/1.1"),
        recipe=WWW,
        scenario="get",
        run_options=FILE,
        connections=32,
        true_findings=("delayed_ack", "low_cpu"),
        # It waits, so that its lines of log cost little; the accept queue is five long.
        possible_findings=(
            *("logging_per_request", "accept_bottleneck", "syscall_heavy"),
            *("thread_explosion", "slower_than_reference"),
        ),
        false_findings=("connection_closed", "gil_bound", "lock_contention", "downstream_wait"),
    ),
    Case(
        name="flask_development",
        group=Group.WILD,
        runtime="python",
        title="flask run: the development server",
        command=shell(f'exec "$0" -m flask --app {APPS}.flask_app run -p "$PORT"'),
        needs=Needs(modules=("flask",)),
        scenario="baseline",
        connections=32,
        true_findings=("connection_closed", "low_cpu"),
        possible_findings=(
            *("logging_per_request", "gil_bound", "thread_explosion", "debug_mode"),
            *("syscall_heavy", "errors"),
            *("slow_tail", "stalls", "unfair", "single_threaded", "slower_than_reference"),
        ),
        false_findings=("keepalive_capped", "delayed_ack", "blocking_event_loop", "cpu_quota"),
    ),
    Case(
        name="gunicorn_sync",
        group=Group.WILD,
        runtime="python",
        title="gunicorn as it comes: one sync worker",
        command=shell(f'exec "$0" -m gunicorn -b "127.0.0.1:$PORT" {APPS}.wsgi_app:app'),
        needs=Needs(modules=("gunicorn",)),
        scenario="baseline",
        connections=64,
        true_findings=("connection_closed", "low_cpu"),
        # One worker, one thread: but it waits for its clients between two requests.
        possible_findings=(
            *("too_few_workers", "single_threaded", "blocking_event_loop", "accept_bottleneck"),
            *("slow_tail", "stalls", "unfair", "slower_than_reference"),
        ),
        false_findings=("keepalive_capped", "gil_bound", "lock_contention", "cpu_quota"),
    ),
    Case(
        name="waitress",
        group=Group.WILD,
        runtime="python",
        title="waitress as it comes: one process, four threads",
        command=shell(f'exec "$0" -m waitress --listen="127.0.0.1:$PORT" {APPS}.wsgi_app:app'),
        needs=Needs(modules=("waitress",)),
        scenario="baseline",
        connections=64,
        true_findings=("gil_bound", "low_cpu"),
        possible_findings=(
            *("too_few_workers", "lock_contention", "single_threaded", "slow_tail", "unfair"),
            *("syscall_heavy", "slower_than_reference"),
        ),
        false_findings=("connection_closed", "delayed_ack", "cpu_quota", "downstream_wait"),
    ),
    Case(
        name="waitress_upload",
        group=Group.WILD,
        runtime="python",
        title="waitress puts a body of over 512 KiB into a file before the application sees it",
        command=shell(f'exec "$0" -m waitress --listen="127.0.0.1:$PORT" {APPS}.wsgi_app:app'),
        needs=Needs(modules=("waitress",)),
        scenario="upload-20mb",
        connections=32,
        true_findings=("body_spooled",),
        # One thread reads all of the bodies.
        possible_findings=(
            *("gil_bound", "low_cpu", "single_threaded", "too_few_workers", "stalls"),
            *("slow_tail", "syscall_heavy", "slower_than_reference"),
        ),
        false_findings=("body_buffered", "body_copied", "memory_blowup", "memory_leak"),
    ),
    Case(
        name="uvicorn_default",
        group=Group.WILD,
        runtime="python",
        title="uvicorn as it comes: one worker, a line of log for each request",
        command=shell(f'exec "$0" -m uvicorn --port "$PORT" {APPS}.asgi_app:app'),
        needs=Needs(modules=("uvicorn",)),
        scenario="baseline",
        connections=64,
        true_findings=("single_threaded", "low_cpu", "logging_per_request"),
        possible_findings=("too_few_workers", "syscall_heavy", "slower_than_reference"),
        false_findings=("gil_bound", "lock_contention", "blocking_event_loop", "cpu_quota"),
    ),
    Case(
        name="tornado",
        group=Group.WILD,
        runtime="python",
        title="Tornado as its documentation begins: one process",
        command=(sys.executable, "-m", f"{APPS}.tornado_app", PORT),
        needs=Needs(modules=("tornado",)),
        scenario="baseline",
        connections=64,
        true_findings=("single_threaded", "low_cpu"),
        possible_findings=("too_few_workers", "slower_than_reference"),
        false_findings=("gil_bound", "lock_contention", "blocking_event_loop", "cpu_quota"),
    ),
    Case(
        name="aiohttp",
        group=Group.WILD,
        runtime="python",
        title="aiohttp as its documentation begins: one process",
        command=(sys.executable, "-m", f"{APPS}.aiohttp_app", PORT),
        needs=Needs(modules=("aiohttp",)),
        scenario="baseline",
        connections=64,
        true_findings=("single_threaded", "low_cpu"),
        possible_findings=("too_few_workers", "slower_than_reference"),
        false_findings=("gil_bound", "lock_contention", "blocking_event_loop", "cpu_quota"),
    ),
    Case(
        name="jdk_default",
        group=Group.WILD,
        runtime="java",
        title="the JDK's HttpServer as it comes: one thread serves, with Nagle's algorithm on",
        command=("java", "-cp", HERE, "Server", PORT, "single"),
        recipe=java.RECIPE,
        needs=java.NEEDS,
        scenario="baseline",
        run_options=java.WARM,
        connections=64,
        true_findings=("delayed_ack", "low_cpu"),
        # One thread serves everything; it is not what holds the rest back.
        possible_findings=("single_threaded", "too_few_workers", "slower_than_reference"),
        false_findings=("blocking_event_loop", "downstream_wait", "lock_contention"),
    ),
    Case(
        name="jdk_idle_limit",
        group=Group.WILD,
        runtime="java",
        title="the JDK's HttpServer with a pool: it keeps 200 idle connections and closes others",
        command=("java", "-Dsun.net.httpserver.nodelay=true", "-cp", HERE, "Server", PORT),
        recipe=java.RECIPE,
        needs=java.NEEDS,
        scenario="baseline",
        run_options=java.WARM,
        connections=512,
        true_findings=("errors",),
        possible_findings=(
            *(
                "connection_closed",
                "connection_cap",
                "keepalive_capped",
                "thread_explosion",
                "slow_tail",
                "stalls",
            ),
            *("unfair", "slower_than_reference"),
        ),
        false_findings=("delayed_ack", "single_threaded", "memory_leak"),
    ),
    Case(
        name="webrick",
        group=Group.WILD,
        runtime="ruby",
        title="ruby -run -e httpd: threads that share one lock of the interpreter",
        command=("ruby", "-run", "-e", "httpd", HERE, "-p", PORT, "-b", "127.0.0.1"),
        recipe=WWW,
        needs=Needs(programs=("ruby",)),
        scenario="get",
        run_options=FILE,
        connections=32,
        true_findings=("low_cpu",),
        # It waits for acknowledgments, so that neither its lock nor its log costs much.
        possible_findings=(
            *("gil_bound", "logging_per_request"),
            *("lock_contention", "too_few_workers", "thread_explosion", "syscall_heavy"),
            *("delayed_ack", "slow_tail", "stalls", "unfair", "slower_than_reference"),
        ),
        false_findings=("blocking_event_loop", "cpu_quota", "downstream_wait"),
    ),
    Case(
        name="php_built_in",
        group=Group.WILD,
        runtime="php",
        title="php -S: one process, which closes every connection",
        command=(*shell('exec php -S "127.0.0.1:$PORT" -t "$1"'), HERE),
        recipe=WWW,
        needs=Needs(programs=("php",)),
        scenario="get",
        run_options=FILE,
        connections=32,
        true_findings=("connection_closed",),
        # "Development Server", it says; a request that comes in pieces gets no answer.
        possible_findings=(
            *("debug_mode", "errors", "single_threaded", "logging_per_request"),
            *("low_cpu", "too_few_workers", "accept_bottleneck", "syscall_heavy"),
            *("slow_tail", "slower_than_reference"),
        ),
        false_findings=("keepalive_capped", "gil_bound", "lock_contention", "delayed_ack"),
    ),
    Case(
        name="lighttpd",
        group=Group.WILD,
        runtime="lighttpd",
        title="lighttpd with a worker for each core, serving a file",
        command=(
            *shell('ROOT="$1" WORKERS="$(nproc)" exec lighttpd -D -f "$1/lighttpd.conf"'),
            HERE,
        ),
        recipe=Recipe(("lighttpd/lighttpd.conf", "www/index.html")),
        needs=Needs(programs=("lighttpd",)),
        healthy=True,
        scenario="get",
        run_options=FILE,
        connections=64,
        false_findings=("keepalive_capped", "single_threaded", "connection_closed"),
    ),
    Case(
        name="caddy",
        group=Group.WILD,
        runtime="go",
        title="caddy file-server",
        command=(*shell('exec caddy file-server --root "$1" --listen "127.0.0.1:$PORT"'), HERE),
        recipe=WWW,
        needs=Needs(programs=("caddy",)),
        healthy=True,
        scenario="get",
        run_options=FILE,
        connections=64,
        possible_findings=("slower_than_reference",),
        false_findings=("single_threaded", "lock_contention", "gc_pressure"),
    ),
    _node("express", "Express, one process", "express"),
    _node("fastify", "Fastify, one process", "fastify"),
    dataclasses.replace(
        _node("synchronous_call", "node that waits for a program in each request (execFileSync)"),
        true_findings=("blocking_event_loop", "low_cpu"),
        possible_findings=(
            *("single_threaded", "too_few_workers", "downstream_wait", "syscall_heavy"),
            *("stalls", "slower_than_reference"),
        ),
        false_findings=("lock_contention", "delayed_ack", "gc_pressure"),
    ),
)
