"""Writes a run as it happens: each sample and tick when it is taken, each file whole or not."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogWriter

from diagnose.errors import UsageError
from diagnose.model.finding import Finding
from diagnose.model.load import LoadResult, LoadTick, lowest_microseconds
from diagnose.model.run import Manifest
from diagnose.store import layout

_HIGHEST_MICROSECONDS = 3_600_000_000
_SIGNIFICANT_DIGITS = 3


class RunWriter:
    """A new run directory below `parent`, named after time, server, scenario and connections.

    Raises: UsageError when it cannot be made.
    """

    def __init__(self, parent: Path, created: datetime, label: str) -> None:
        base = f"{created:%Y%m%d-%H%M%S}-{safe_label(label)}"
        try:
            for attempt in range(1, 100):
                name = base if attempt == 1 else f"{base}-{attempt}"
                try:
                    (parent / name).mkdir(parents=True)
                except FileExistsError:
                    continue
                break
            else:
                raise UsageError(f"{parent} already holds 99 runs named {base}")
            self.path = parent / name
            (self.path / layout.PROFILES).mkdir()
            self._ticks = (self.path / layout.TICKS).open("ab", buffering=0)
        except OSError as error:
            raise UsageError(
                f"cannot write a run below {parent}: {error.strerror}; choose another place with -o"
            ) from error
        self._encode = msgspec.json.Encoder().encode

    @property
    def samples_path(self) -> Path:
        """Where the sampler writes."""
        return self.path / layout.SAMPLES

    @property
    def log_path(self) -> Path:
        """Where the server's output goes."""
        return self.path / layout.SERVER_LOG

    @property
    def profiles_path(self) -> Path:
        """Where profilers write."""
        return self.path / layout.PROFILES

    def tick(self, tick: LoadTick) -> None:
        """One tick, on disk when this returns."""
        self._ticks.write(self._encode(tick) + b"\n")

    def manifest(self, manifest: Manifest) -> None:
        """`run.json`, replaced whole."""
        self._replace(layout.MANIFEST, msgspec.json.format(self._encode(manifest), indent=1))

    def load(self, result: LoadResult) -> None:
        """`load.json` and the latency distribution for other tools."""
        self._replace(layout.LOAD, msgspec.json.format(self._encode(result), indent=1))
        if result.histogram:
            _write_hlog(self.path / layout.LATENCY, result)

    def close(self) -> None:
        """Nothing more will be written."""
        self._ticks.close()

    def _replace(self, name: str, data: bytes) -> None:
        write_whole(self.path / name, data)


def safe_label(label: str) -> str:
    """A label as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9._@-]+", "-", label).strip("-")[:80]


def write_findings(directory: Path, findings: Sequence[Finding]) -> None:
    """`findings.json`, replaced whole."""
    data = msgspec.json.format(msgspec.json.encode(list(findings)), indent=1)
    write_whole(directory / layout.FINDINGS, data)


def write_report(directory: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Report files beside the run's own; their paths."""
    for name, data in files.items():
        write_whole(directory / name, data)
    return [directory / name for name in files]


def write_whole(path: Path, data: bytes) -> None:
    """The file holds all of the data or what it held before."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)


def _write_hlog(path: Path, result: LoadResult) -> None:
    """The distribution in HdrHistogram's log format, values in microseconds."""
    histogram = HdrHistogram(1, _HIGHEST_MICROSECONDS, _SIGNIFICANT_DIGITS)
    for index, count in result.histogram.items():
        histogram.record_value(lowest_microseconds(index), count)
    with path.open("w", encoding="ascii") as file:
        writer = HistogramLogWriter(file)
        writer.output_comment("Latencies in microseconds, recorded by diagnose")
        writer.output_log_format_version()
        writer.output_legend()
        writer.output_interval_histogram(histogram, 0, result.duration_s, 1.0)
