"""Bodies of a half and of a quarter, and fewer connections: what grows with the bytes in flight?

A body that is held costs memory (or disk) for each byte in flight, whatever its size and however
many there are; one that is read again and again takes four times as long for twice the bytes.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

from diagnose.analysis.memory_growth import fitted
from diagnose.experiments._figures import between, figure, p50, told, undecided
from diagnose.model.experiment import Change, Judged, Leg, Outcome, Seen
from diagnose.model.finding import Evidence, Finding
from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from diagnose.model.scenario import RequestTemplate
from diagnose.units import format_bytes

TITLE = "the whole body, a half and a quarter of it, and a quarter of the connections"
DECIDES = {
    "body_buffered": "memory grows by about a byte for each body byte in the server, at any size "
    "and any number of connections",
    "body_copied": "memory grows by two bytes and more for each body byte in the server",
    "body_spooled": "files or storage take most body bytes, at any size",
    "quadratic_body": "one upload takes four times as long when it is twice as large",
}
REPEATS = 1
# Nothing else makes memory follow the bytes in flight.
ALONE = ("body_buffered", "body_copied", "body_spooled", "quadratic_body")
WHOLE, HALF, QUARTER, FEWER = "whole", "half", "a quarter", "a quarter of the connections"
SINGLE, SINGLE_QUARTER = "one upload at a time", "one upload at a time, a quarter"
# Smaller bodies are the size of buffers that every server has.
FEWEST_BYTES = 256 * 1024
# Bytes of memory for each body byte: 0.0 to 0.3 were measured on servers that stream, 0.6 to 1.9 on
# those that buffer (rule body_buffered), 2 and more where it is held twice.
HELD, STREAMED, COPIED, NOT_COPIED = 0.6, 0.4, 1.7, 1.4
SPOOLED, NOT_SPOOLED = 0.5, 0.1
# Exponents of time over size.
QUADRATIC, LINEAR = 1.5, 1.25
# Points of less than this are the noise of a heap.
MIN_SPREAD = 16 * 2**20


def scaled(templates: tuple[RequestTemplate, ...], divisor: float) -> tuple[RequestTemplate, ...]:
    """The same requests with shorter generated bodies. The answer may name the length."""
    return tuple(
        replace(
            template,
            body_length=_length(template, divisor),
            expect=replace(
                template.expect,
                body=_answer(template, divisor),
            ),
        )
        if template.body_length
        else template
        for template in templates
    )


def _length(template: RequestTemplate, divisor: float) -> int:
    return max(1, round(template.body_length / divisor))


def _answer(template: RequestTemplate, divisor: float) -> str | None:
    """Servers that answer with the length of the body answer with the new one."""
    if template.expect.body == str(template.body_length):
        return str(_length(template, divisor))
    return template.expect.body


def legs(base: Run, suspects: Collection[str]) -> tuple[Leg, ...] | str:
    """Three sizes at all connections and the whole one at a quarter of them; for time, two sizes
    one upload at a time."""
    templates = base.manifest.scenario.templates
    longest = max((template.body_length for template in templates), default=0)
    if longest < 4 * FEWEST_BYTES:
        return "the scenario sends no large bodies (try upload-20mb)"
    wanted: tuple[Leg, ...] = ()
    if any(suspect != "quadratic_body" for suspect in suspects):
        count = base.manifest.connections
        wanted += (
            Leg(WHOLE),
            Leg(HALF, Change(templates=scaled(templates, 2))),
            Leg(QUARTER, Change(templates=scaled(templates, 4))),
            Leg(FEWER, Change(connections=max(1, count // 4))),
        )
    if "quadratic_body" in suspects:
        # One upload at a time tells how long it takes by itself.
        wanted += (
            Leg(SINGLE, Change(connections=1)),
            Leg(SINGLE_QUARTER, Change(connections=1, templates=scaled(templates, 4))),
        )
    return wanted


def judge(base: Run, seen: Seen, suspect: Finding) -> Judged:
    """As each cause predicts."""
    if suspect.id == "quadratic_body":
        return _exponent(seen)
    if suspect.id == "body_spooled":
        return _spooled(seen)
    points = []
    for label in (WHOLE, HALF, QUARTER, FEWER):
        points += [point for run in seen.get(label, []) if (point := _point(run)) is not None]
    line = fitted(points)
    spread = max(x for x, _ in points) - min(x for x, _ in points) if points else 0.0
    if line is None or spread < MIN_SPREAD:
        return undecided("too few bytes were in flight to see what grows with them")
    said = (
        f"{line.slope:.2f} bytes of memory for each body byte in the server, over "
        f"{len(points)} points up to {format_bytes(max(x for x, _ in points))}"
    )
    rows = (Evidence("memory_per_body_byte", line.slope, "ratio", HELD, "samples.jsonl"),)
    limits = (COPIED, NOT_COPIED) if suspect.id == "body_copied" else (HELD, STREAMED)
    if line.slope >= limits[0]:
        worth = format_bytes(max(y for _, y in points))
        return Judged(Outcome.CONFIRMED, said, f"up to {worth} of memory here", rows)
    if line.slope <= limits[1]:
        return Judged(Outcome.REFUTED, said, evidence=rows)
    return Judged(Outcome.UNDECIDED, said, evidence=rows)


def _point(run: Analyzed) -> tuple[float, float] | None:
    """(body bytes in the server, growth of memory) at their most."""
    held = figure(run, "body_buffered", "bodies_in_server")
    growth = figure(run, "body_buffered", "growth")
    return None if held is None or growth is None else (held, growth)


def _spooled(seen: Seen) -> Judged:
    def share(run: Analyzed) -> float | None:
        shares = [
            figure(run, "body_spooled", metric)
            for metric in ("in_new_files_per_body_byte", "stored_per_body_byte")
        ]
        return max([value for value in shares if value is not None], default=None)

    shares = [told(seen, label, share) for label in (WHOLE, QUARTER)]
    if not all(shares):
        return undecided("neither files nor storage were seen in both sizes")
    both = [value for values in shares for value in values]
    said = f"{between(both)} bytes in files or storage for each body byte, whole and a quarter"
    rows = (Evidence("spooled_per_body_byte", min(both), "ratio", SPOOLED, "samples.jsonl"),)
    if min(both) >= SPOOLED:
        return Judged(Outcome.CONFIRMED, said, evidence=rows)
    if max(both) <= NOT_SPOOLED:
        return Judged(Outcome.REFUTED, said, evidence=rows)
    return Judged(Outcome.UNDECIDED, said, evidence=rows)


def _exponent(seen: Seen) -> Judged:
    whole, quarter = told(seen, SINGLE, p50), told(seen, SINGLE_QUARTER, p50)
    if not whole or not quarter or min(quarter) <= 0:
        return undecided("too few uploads were answered one at a time")
    exponent = math.log(whole[0] / quarter[0]) / math.log(4)
    said = (
        f"{whole[0] * 1e3:.3g} ms, a quarter of it {quarter[0] * 1e3:.3g} ms: size to the power of "
        f"{exponent:.2f}"
    )
    rows = (Evidence("exponent", exponent, "", QUADRATIC, "load.json"),)
    if exponent >= QUADRATIC:
        effect = f"{whole[0] / quarter[0] / 4:.2g} times as long as in linear time"
        return Judged(Outcome.CONFIRMED, said, effect, rows)
    if exponent <= LINEAR:
        return Judged(Outcome.REFUTED, said, evidence=rows)
    return Judged(Outcome.UNDECIDED, said, evidence=rows)
