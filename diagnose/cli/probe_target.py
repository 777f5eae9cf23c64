"""Where a probe asks: the ports of its server, and what is spoken on each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from diagnose.errors import UsageError
from diagnose.load.validation.check import Target, Way
from diagnose.load.validation.runner import OPTIONS
from diagnose.model.scenario import Protocol, Scenario
from diagnose.recorder.probing import ProbeOptions
from diagnose.server import ports as ports_room
from diagnose.server.launch import expand, names_port

# What a port is called in the command and in the environment.
NAMES = {Way.TLS: "TLS_PORT", Way.H2: "H2_PORT", Way.H2C: "H2C_PORT"}


def url_parts(url: str) -> tuple[str, int, bool, str | None]:
    """Address, port, whether there is TLS, and the path where there is one.

    Raises: UsageError.
    """
    parts = urlsplit(url if "//" in url else f"http://{url}")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise UsageError(f"--url {url}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--url takes http://ADDRESS:PORT or https://ADDRESS:PORT, not {url!r}")
    path = None if parts.path in ("", "/") else parts.path
    return parts.hostname, port, parts.scheme == "https", path


def port_options(
    scenario: Scenario,
    address: str,
    words: tuple[str, ...],
    port: int | None,
    given: dict[Way, int | None],
) -> ProbeOptions:
    """What is asked where. A port that the command names but nobody gave is a free one."""
    others = {
        way: _port(address, number if number is not None else 0, OPTIONS[way], bool(words))
        for way, number in given.items()
        if number is not None or names_port(words, NAMES[way])
    }
    main = _main_way(scenario)
    if main in others:
        # `$PORT` is then an ordinary port beside the scenario's own.
        scenario = replace(scenario, tls=False, protocol=Protocol.HTTP, port=8080)
        main = Way.HTTP
    number = _port(address, scenario.port if port is None else port, "--port", bool(words))
    secure = main is Way.TLS
    ports = {Way.HTTP: number, Way.TLS: number} if secure else {main: number}
    target = Target(address, {**ports, **others}, https=secure)
    named = {NAMES[way]: each for way, each in others.items()}
    return ProbeOptions(
        scenario=replace(scenario, port=number),
        checks=(),
        target=target,
        port=number,
        log=Path(),
        command=tuple(expand(words, number, named)),
        others=tuple(named.items()),
    )


def _main_way(scenario: Scenario) -> Way:
    """What the scenario speaks on its own port."""
    if scenario.protocol is Protocol.H2:
        return Way.H2 if scenario.tls else Way.H2C
    return Way.TLS if scenario.tls else Way.HTTP


def _port(address: str, number: int, option: str, launched: bool) -> int:
    """The port itself, a free one for 0.

    Raises: UsageError.
    """
    if not 0 <= number <= 65535 or (number == 0 and not launched):
        raise UsageError(f"{option} takes {0 if launched else 1} to 65535, not {number}")
    if number == 0:
        return ports_room.free_port(address)
    if launched:
        ports_room.check_free(address, number)
    return number
