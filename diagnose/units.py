"""Figures as people read them. Everything inside is seconds, bytes and cores; this is the edge."""

from __future__ import annotations

MIB = 1024 * 1024
GIB = 1024 * MIB


def format_bytes(count: float) -> str:
    """Bytes in binary units: `20.0 MiB`."""
    size = abs(count)
    for unit, factor in (("GiB", GIB), ("MiB", MIB), ("KiB", 1024)):
        if size >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"


def format_seconds(seconds: float) -> str:
    """A duration with three significant digits: `1.23 ms`."""
    size = abs(seconds)
    if size >= 1 or size == 0:
        return f"{seconds:.2f} s"
    if size >= 1e-3:
        return f"{seconds * 1e3:.2f} ms"
    return f"{seconds * 1e6:.0f} us"


def format_rate(per_second: float) -> str:
    """A rate with thousands separated: `12,345/s`, `3.4/s`."""
    return f"{per_second:,.0f}/s" if abs(per_second) >= 100 else f"{per_second:.1f}/s"


def format_value(value: float | int | str, unit: str) -> str:
    """A figure of a finding's evidence with its unit."""
    if isinstance(value, str):
        return f"{value} {unit}".strip()
    if unit == "bytes":
        return format_bytes(value)
    if unit == "s":
        return format_seconds(value)
    if unit == "1/s":
        return format_rate(value)
    if unit == "cores":
        return f"{value:.2f} cores"
    if unit == "ratio":
        return f"{value:.2f}" if abs(value) >= 0.01 or value == 0 else f"{value:.1g}"
    if isinstance(value, int) or float(value).is_integer():
        return f"{value:,.0f} {unit}".strip()
    return f"{value:,.2f} {unit}".strip()
