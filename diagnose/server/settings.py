"""How the processes of a server were started: what chooses a debug or development mode."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from diagnose.model.run import ProcessFacts

# Of an environment, which may hold secrets, these and no others are kept.
SWITCHES = frozenset(
    {
        *("FLASK_DEBUG", "FLASK_ENV", "QUART_DEBUG", "DJANGO_DEBUG", "STARLETTE_DEBUG"),
        *("PYTHONDEVMODE", "PYTHONASYNCIODEBUG", "PYTHONMALLOC", "PYTHONTRACEMALLOC"),
        *("NODE_ENV", "NODE_OPTIONS", "GIN_MODE", "BUFFALO_ENV", "GO_ENV"),
        *("RAILS_ENV", "RACK_ENV", "HANAMI_ENV", "APP_ENV", "APP_DEBUG", "SYMFONY_DEBUG"),
        *("XDEBUG_MODE", "XDEBUG_CONFIG", "ASPNETCORE_ENVIRONMENT", "DOTNET_ENVIRONMENT"),
        *("MIX_ENV", "SPRING_PROFILES_ACTIVE", "MICRONAUT_ENVIRONMENTS", "QUARKUS_PROFILE"),
        *("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "ROCKET_PROFILE", "RUST_LOG"),
        *("MALLOC_CHECK_", "MALLOC_PERTURB_", "LD_PRELOAD"),
    }
)
MOST_ARGUMENTS, MOST_CHARACTERS = 40, 200


def facts_of(pids: Iterable[int]) -> tuple[ProcessFacts, ...]:
    """How these processes were started; one of those that were started alike, those that may not
    be looked at left out."""
    found: dict[tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]], ProcessFacts] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            executable = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                arguments = parse_arguments(file.read())
            environment: dict[str, str] = {}
            with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
                environment = parse_environment(file.read())
            key = (executable, arguments, tuple(sorted(environment.items())))
            found.setdefault(key, ProcessFacts(pid, executable, arguments, environment))
    return tuple(found.values())


def parse_arguments(data: bytes) -> tuple[str, ...]:
    """The arguments of /proc/PID/cmdline, program first; long ones and many are cut.

    Source: proc(5): arguments end with a zero byte; a program may write over them.
    """
    words = data.rstrip(b"\0").split(b"\0")[:MOST_ARGUMENTS] if data.strip(b"\0") else []
    return tuple(word.decode(errors="replace")[:MOST_CHARACTERS] for word in words)


def parse_environment(data: bytes) -> dict[str, str]:
    """Of /proc/PID/environ, the switches.

    Source: proc(5): the environment that it was started with.
    """
    pairs = (entry.decode(errors="replace").partition("=") for entry in data.split(b"\0"))
    return {name: value[:MOST_CHARACTERS] for name, _, value in pairs if name in SWITCHES}
