"""Files that the server writes: those that grow with the responses, and those of bodies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from diagnose.analysis.memory_growth import responses
from diagnose.analysis.observe import bodies_in_server
from diagnose.model.run import Run
from diagnose.model.samples import FilesSample, OpenFile


@dataclass(frozen=True, slots=True)
class FileGrowth:
    """A file that grew between the first and the last look at it in the measured load."""

    path: str
    bytes: int
    responses: float

    @property
    def per_response(self) -> float:
        """Bytes for each response that was given meanwhile."""
        return self.bytes / self.responses if self.responses > 0 else 0.0


LOAD_PHASES = ("trial", "warmup", "window", "drain")


def growing_files(run: Run) -> list[FileGrowth] | None:
    """Files that grew and were there at two looks, fastest first; None with fewer than two looks.

    A file of one request's body lives for less than that, or is one of many: those that grew to no
    more than one request's share are left to `spooled`.
    """
    series = responses(run)
    looks = [
        (sample.t, sample.files)
        for name in LOAD_PHASES
        for sample in run.samples_in(name)
        if sample.files is not None
    ]
    if series is None or len(looks) < 2:
        return None
    first: dict[str, tuple[float, OpenFile]] = {}
    last: dict[str, tuple[float, OpenFile]] = {}
    for t, seen in sorted(looks, key=lambda look: look[0]):
        for file in seen.files:
            first.setdefault(file.path, (t, file))
            last[file.path] = (t, file)
    found = []
    for path, (began, before) in first.items():
        ended, after = last[path]
        # A file of the same name that came later is another one.
        if after.since == before.since and after.size > before.size:
            grown = series.at(ended) - series.at(began)
            found.append(FileGrowth(path, after.size - before.size, grown))
    return sorted(found, key=lambda file: -file.per_response)


@dataclass(frozen=True, slots=True)
class Spooled:
    """The look with most body bytes in files that were not there before the load: how many files,
    their bytes, and the body bytes that the server had taken and not answered at the time."""

    files: int
    bytes: int
    bodies: float
    example: str


def spooled(run: Run) -> Spooled | None:
    """Bytes in files that came with the load; None where files were not looked at before it and
    under it."""
    before = [
        sample.files
        for name in ("launch", "idle", "probe")
        for sample in run.samples_in(name)
        if sample.files is not None
    ]
    held = {t: bodies for t, bodies, _ in bodies_in_server(run)}
    looks = [
        (sample.t, sample.files)
        for name in ("wave", *LOAD_PHASES)
        for sample in run.samples_in(name)
        if sample.files is not None
    ]
    if not before or not looks or not held:
        return None
    standing = before[-1]
    found = [_came(seen, standing, _at(held, t)) for t, seen in looks]
    # Where files and bodies were both large; without files, where there were most bodies.
    return max(found, key=lambda look: (min(look.bytes, look.bodies), look.bodies))


def _at(held: Mapping[float, float], t: float) -> float:
    """The bodies at the sample nearest to a moment."""
    return held[min(held, key=lambda at: abs(at - t))]


def _came(seen: FilesSample, standing: FilesSample, bodies: float) -> Spooled:
    known = {file.path: file.size for file in standing.files}
    # Those that stood before count by what they were then: a log that grew is no body.
    grown = sum(file.size - known[file.path] for file in seen.files if file.path in known)
    names = [file.path for file in seen.files if file.path not in known]
    return Spooled(
        seen.count - standing.count,
        seen.bytes - standing.bytes - grown,
        bodies,
        names[0] if names else "",
    )
