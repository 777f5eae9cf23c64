"""`diagnose bundle`: the bug report, with all that is needed to see the same and look further."""

from __future__ import annotations

import getpass
import os
import re
import socket
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import typer

from diagnose.cli.console import errors_to
from diagnose.cli.options import parse_size
from diagnose.cli.reproducing import tried
from diagnose.cli.results import analyzed
from diagnose.errors import UsageError
from diagnose.model.investigated import Investigated
from diagnose.model.report import Analyzed
from diagnose.reports import bug_report, charts, html, speedscope
from diagnose.reports.bug_report import Tried
from diagnose.reports.html import Beside
from diagnose.reports.redaction import Identity, Redactor, listing
from diagnose.reports.repeating import command_line
from diagnose.reports.reproduction import recipe, script
from diagnose.scenario.toml_writing import to_toml
from diagnose.store import archive, layout
from diagnose.store.investigated import FILE as INVESTIGATION
from diagnose.store.investigated import investigation_of
from diagnose.store.writer import write_whole
from diagnose.units import format_bytes

# What mail and issue trackers usually take.
MOST_BYTES = 10_000_000
MOST_REPETITIONS = 20
# The end of a log says why a server ended; its beginning is in run.json.
MOST_LOG = 256 * 1024
DATA = (layout.MANIFEST, layout.LOAD, layout.FINDINGS)
ROWS = (layout.SAMPLES, layout.TICKS)


def bundle(
    run: Path = typer.Argument(help="A run directory, as `diagnose run` prints it."),
    output: Path | None = typer.Option(None, "-o", "--output", help="The archive (.tar.gz)."),
    repeat: int = typer.Option(
        3, "--repeat", help="Run the reproduction so often; 0 does not run it."
    ),
    most: str = typer.Option("10MB", "--max-size", help="Refuse to write a larger archive."),
) -> None:
    """Make a bug report: one page, the commands that reproduce it, and all data, in one archive.

    The commands are run here, and REPORT.md says whether they showed the symptom. Secrets, home
    folders, user and host names are taken out; REMOVED.md says what was. `diagnose report ARCHIVE`
    reads it. Exit status: 0 written, 1 written but the commands did not reproduce it, 2 usage.
    """
    if not 0 <= repeat <= MOST_REPETITIONS:
        raise UsageError(f"--repeat takes 0 to {MOST_REPETITIONS}, not {repeat}")
    limit = parse_size(most) or MOST_BYTES
    if not run.is_dir():
        raise UsageError(f"{run} is not a run directory; `diagnose run` prints the one it writes")
    item = analyzed(run)
    path = output or Path(f"{run.resolve().name}.tar.gz")
    if not path.name.endswith(archive.SUFFIXES):
        raise UsageError(f"-o takes a name that ends with .tar.gz, not {path.name}")
    if repeat and recipe(item) is not None:
        errors_to.print(
            f"running the reproduction {repeat} times, and once on the reference server: it takes "
            "a minute",
            soft_wrap=True,
        )
    result = tried(item, repeat)
    files, redactor = contents(run, result, identity())
    data = archive.pack(f"bundle-{_safe(redactor.text(run.resolve().name))}", files)
    if len(data) > limit:
        raise UsageError(
            f"the bundle would have {format_bytes(len(data))}, more than {format_bytes(limit)}; "
            "raise --max-size, or bundle a shorter run"
        )
    try:
        write_whole(path, data)
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}; choose another with -o"
        ) from error
    removed = sum(redactor.removed.values())
    errors_to.print(
        f"{format_bytes(len(data))}, {len(files)} files, {removed} things taken out (REMOVED.md)"
    )
    told = {
        True: "the commands reproduce it",
        False: "the commands did NOT reproduce it",
        None: "the reproduction was not run",
    }
    errors_to.print(told[result.reproduced], markup=False)
    typer.echo(str(path))
    raise typer.Exit(1 if result.reproduced is False else 0)


def identity() -> Identity:
    """The names that this machine and its user have."""
    homes = [str(Path.home())]
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = ""
    users = [user, *(os.environ.get(name, "") for name in ("USER", "SUDO_USER", "LOGNAME"))]
    host = socket.gethostname()
    hosts = [host, socket.getfqdn(), os.environ.get("HOSTNAME", ""), host.partition(".")[0]]
    return Identity(tuple(homes), tuple(filter(None, users)), tuple(filter(None, hosts)))


def contents(run: Path, result: Tried, names: Identity) -> tuple[dict[str, bytes], Redactor]:
    """The files of a bundle by name, all of them made from what is left of the run."""
    redactor = Redactor(names)
    with tempfile.TemporaryDirectory(prefix="diagnose-bundle-") as scratch:
        clean = Path(scratch) / archive.RUN
        files = _data(run, redactor)
        for name, data in files.items():
            (clean / name).parent.mkdir(parents=True, exist_ok=True)
            (clean / name).write_bytes(data)
        item = analyzed(clean, shown=archive.RUN)
    experiments = _experiments(run, redactor)
    found = {f"{archive.RUN}/{name}": data for name, data in files.items()}
    if experiments is not None:
        found[INVESTIGATION] = msgspec.json.format(msgspec.json.encode(experiments), indent=1)
    found.update(_reports(item, _cleaned(item, result, redactor), experiments))
    found["REMOVED.md"] = listing(redactor.removed, list(found)).encode()
    return found, redactor


def _cleaned(item: Analyzed, result: Tried, redactor: Redactor) -> Tried:
    """What was tried, told with the commands of the run that is left."""
    pieces = redactor.value(msgspec.to_builtins(result))
    read = msgspec.convert(pieces, Tried)
    return Tried(recipe(item), read.seen, read.contrast, read.libraries)


def _experiments(run: Path, redactor: Redactor) -> Investigated | None:
    """What an investigation decided that began with this run; the run is called by its new name."""
    read = investigation_of(run)
    if read is None:
        return None
    clean = msgspec.convert(redactor.value(msgspec.to_builtins(read)), Investigated)
    return replace(clean, base=archive.RUN)


def _reports(item: Analyzed, result: Tried, experiments: Investigated | None) -> dict[str, bytes]:
    files = {
        "REPORT.md": bug_report.render(item, result, experiments).encode(),
        html.FILE: html.render(item, Beside(experiments)),
        **charts.pictures(item.run),
    }
    # Raw bytes that are no text are in run.json only.
    with suppress(UsageError):
        files["scenario.toml"] = to_toml(item.run.manifest.scenario).encode()
    if item.run.profiles or item.run.waits:
        files.update(speedscope.files(item))
    if result.recipe is not None:
        files["reproduce.sh"] = script(result.recipe, command_line(item)).encode()
    return files


def _data(run: Path, redactor: Redactor) -> dict[str, bytes]:
    """The files of the run directory that others may see."""
    files: dict[str, bytes] = {}
    for name in (*DATA, *ROWS):
        data = _read(run / name)
        if data is not None and name in ROWS:
            files[name] = b"".join(
                filter(None, (_row(line, redactor) for line in data.split(b"\n")))
            )
        elif data is not None:
            try:
                clean = redactor.value(msgspec.json.decode(data))
            except msgspec.MsgspecError as error:
                raise UsageError(f"{run / name} is damaged: {error}") from error
            files[name] = msgspec.json.format(msgspec.json.encode(clean), indent=1)
    if (data := _read(run / layout.LATENCY)) is not None:
        files[layout.LATENCY] = data
    texts: Mapping[str, Path] = {
        layout.SERVER_LOG: run / layout.SERVER_LOG,
        **{
            f"{layout.PROFILES}/{p.name}": p
            for p in sorted((run / layout.PROFILES).glob("*.folded"))
        },
    }
    for name, path in texts.items():
        if (data := _read(path)) is not None:
            kept = data[-MOST_LOG:] if name == layout.SERVER_LOG else data
            files[name] = redactor.text(kept.decode(errors="replace")).encode()
    return files


def _row(line: bytes, redactor: Redactor) -> bytes:
    """A row of numbers and names; one that was cut off is left out."""
    try:
        return msgspec.json.encode(redactor.value(msgspec.json.decode(line))) + b"\n"
    except msgspec.MsgspecError:
        return b""


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._@-]+", "-", name)[:80]
