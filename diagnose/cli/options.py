"""What the options of several commands mean."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

from diagnose.errors import UsageError
from diagnose.model.scenario import INLINE_BODY, Protocol, Scenario
from diagnose.scenario.catalog import find_scenario, shipped
from diagnose.scenario.profile_string import apply, endpoint, is_profile_string
from diagnose.scenario.raw_file import raw_scenario
from diagnose.scenario.toml_file import unsendable
from diagnose.server.host import parse_cpus

_SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*([KMGT]?)(i?B)?$", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
MAX_CONNECTIONS = 60_000
MAX_SECONDS = 3600.0
MAX_RATE = 1e7


def parse_counts(text: str | None, scenario: Scenario) -> list[int]:
    """`-c 64,256`: connection counts; the scenario's first where nothing is given.

    Raises: UsageError.
    """
    if text is None:
        return [scenario.connections[0]]
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"-c takes numbers like 64 or 64,256, not {text!r}") from error
    for count in counts:
        if not 1 <= count <= MAX_CONNECTIONS:
            raise UsageError(f"-c takes 1 to {MAX_CONNECTIONS} connections, not {count}")
    return counts


def parse_size(text: str | None) -> int | None:
    """`4G`, `512M`, `1.5GiB` (powers of 1024), `4GB` (powers of 1000) or bytes.

    Raises: UsageError.
    """
    if text is None:
        return None
    match = _SIZE.match(text.strip())
    size = 0
    if match is not None:
        base = 1000 if match[2] and (match[3] or "").upper() == "B" else 1024
        size = int(float(match[1]) * base ** _POWERS[match[2].upper()])
    if size < 1:
        raise UsageError(f"not a size: {text!r}; write it like 64K, 512M or 4G")
    return size


def parse_seconds(value: float | None, option: str) -> float | None:
    """A number of seconds or nothing.

    Raises: UsageError.
    """
    if value is not None and not 0 < value <= MAX_SECONDS:
        raise UsageError(
            f"{option} takes more than 0 and up to {MAX_SECONDS:.0f} seconds, not {value:g}"
        )
    return value


class Phases(TypedDict):
    """Seconds of the phases beside the measured window, as RunOptions takes them."""

    profile_s: float
    idle_s: float
    cooldown_s: float


def parse_phases(profile: float, idle: float, cooldown: float) -> Phases:
    """The lengths of the phases beside the measured window.

    Raises: UsageError.
    """
    for value, option in (
        (profile, "--profile-duration"),
        (idle, "--idle"),
        (cooldown, "--cooldown"),
    ):
        parse_seconds(value, option)
    return {"profile_s": profile, "idle_s": idle, "cooldown_s": cooldown}


def parse_workers(value: int | None) -> int | None:
    """A number of load workers or nothing.

    Raises: UsageError.
    """
    if value is not None and value < 1:
        raise UsageError(f"--load-workers must be at least 1, not {value}")
    return value


def parse_cpu_option(text: str | None) -> tuple[int, ...] | None:
    """A CPU list or nothing."""
    return None if text is None else parse_cpus(text)


def adapt(
    scenario: Scenario,
    *,
    duration: float | None = None,
    warmup: float | None = None,
    pipeline: int | None = None,
    requests: int | None = None,
    timeout: float | None = None,
    path: str | None = None,
    rate: float | None = None,
    ramp: float | None = None,
    send_rate: str | None = None,
    read_rate: str | None = None,
) -> Scenario:
    """The scenario with the user's own figures.

    Raises: UsageError.
    """
    if duration is not None and not 0 < duration <= MAX_SECONDS:
        raise UsageError(
            f"-d takes more than 0 and up to {MAX_SECONDS:.0f} seconds, not {duration:g}"
        )
    if warmup is not None and not 0 <= warmup <= MAX_SECONDS:
        raise UsageError(f"--warmup takes 0 to {MAX_SECONDS:.0f} seconds, not {warmup:g}")
    if timeout is not None and not 0 < timeout <= MAX_SECONDS:
        raise UsageError(f"--timeout takes up to {MAX_SECONDS:.0f} seconds, not {timeout:g}")
    if pipeline is not None and not 1 <= pipeline <= 1024:
        raise UsageError(f"-p takes 1 to 1024 requests, not {pipeline}")
    if rate is not None and not 0 < rate <= MAX_RATE:
        raise UsageError(
            f"--rate takes more than 0 and up to {MAX_RATE:,.0f} requests per second, not {rate:g}"
        )
    if ramp is not None and not 0 <= ramp <= MAX_SECONDS:
        raise UsageError(f"--ramp takes 0 to {MAX_SECONDS:.0f} seconds, not {ramp:g}")
    generated = any(template.body_length > INLINE_BODY for template in scenario.templates)
    if pipeline is not None and pipeline > 1 and generated:
        raise UsageError(f"-p {pipeline}: uploads are not pipelined; use -p 1 with {scenario.name}")
    if pipeline is not None and (
        problem := unsendable(scenario.templates, pipeline, scenario.protocol)
    ):
        raise UsageError(f"-p {pipeline}: {problem}")
    if requests is not None and requests < 0:
        raise UsageError(f"-r takes 0 (never close) or more requests, not {requests}")
    templates = scenario.templates
    if path is not None:
        if not re.fullmatch(r"/[!-~]*", path):
            raise UsageError(f"--path must start with '/' and hold no spaces, not {path!r}")
        if any(template.raw is not None for template in templates):
            raise UsageError(
                "--path cannot change requests that are given by their bytes: change the raw files"
            )
        templates = tuple(replace(template, target=path) for template in templates)
    return replace(
        scenario,
        templates=templates,
        duration_s=duration if duration is not None else scenario.duration_s,
        warmup_s=warmup if warmup is not None else scenario.warmup_s,
        timeout_s=timeout if timeout is not None else scenario.timeout_s,
        pipeline=pipeline if pipeline is not None else scenario.pipeline,
        requests_per_connection=requests
        if requests is not None
        else scenario.requests_per_connection,
        rate=rate if rate is not None else scenario.rate,
        ramp_s=ramp if ramp is not None else scenario.ramp_s,
        send_rate=parse_size(send_rate) or scenario.send_rate,
        read_rate=parse_size(read_rate) or scenario.read_rate,
    )


def names_scenario(word: str) -> bool:
    """The word means a scenario: by name, as a file, or as a profile string."""
    bare = {name.partition("@")[0] for name in shipped()}
    return is_profile_string(word) or word.endswith(".toml") or word.partition("@")[0] in bare


def chosen_scenario(name: str, raw: str | None) -> Scenario:
    """The scenario of a name, a file, or a profile string; with --raw its requests are replaced,
    or there is no other.

    Raises: UsageError.
    """
    arena = name if is_profile_string(name) else ""
    if not name and raw is None:
        raise UsageError(
            "no scenario: name one (`diagnose scenarios` lists them), give a profile string like "
            "'1|10||512,4096|', or raw templates with --raw"
        )
    templates = None if raw is None else raw_scenario(raw)
    if arena:
        scenario = apply(arena, templates or find_scenario(endpoint(arena)))
    elif name:
        scenario = find_scenario(name)
    else:
        assert templates is not None
        return templates
    if templates is None:
        return scenario
    if scenario.protocol is not Protocol.HTTP:
        raise UsageError(
            f"--raw holds HTTP/1.1 requests, and {scenario.name} speaks another protocol"
        )
    return replace(scenario, templates=templates.templates, title=templates.title)


def check_target(host: str, allow_remote: bool) -> str:
    """The address to load: loopback only unless the user says otherwise.

    Raises: UsageError.
    """
    if host == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError as error:
        raise UsageError(
            f"{host!r} is not an address; give an IP address such as 127.0.0.1 or ::1"
        ) from error
    if not address.is_loopback and not allow_remote:
        raise UsageError(
            f"{host} is not a loopback address: load would leave this machine. "
            "Use --allow-remote if the machine is yours to load"
        )
    return str(address)


def check_names(names: Sequence[str], known: Sequence[str], what: str) -> None:
    """Raises: UsageError for a name that is not known."""
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}? Known" if close else "known"
            raise UsageError(f"no {what} {name!r}; {hint}: {', '.join(known)}")
