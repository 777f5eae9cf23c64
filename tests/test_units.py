"""Figures as people read them."""

from __future__ import annotations

import pytest

from diagnose.units import (
    GIB,
    MIB,
    format_bytes,
    format_rate,
    format_seconds,
    format_value,
)

BYTES = [
    (0, "0 B"),
    (1023, "1023 B"),
    (1024, "1.0 KiB"),
    (MIB - 52, "1023.9 KiB"),
    (MIB, "1.0 MiB"),
    (20_971_520, "20.0 MiB"),
    (GIB, "1.0 GiB"),
    (2.8 * GIB, "2.8 GiB"),
    (1500 * GIB, "1500.0 GiB"),
    (-5, "-5 B"),
    (-20 * MIB, "-20.0 MiB"),
    (0.4, "0 B"),
]


@pytest.mark.parametrize(("count", "text"), BYTES)
def test_format_bytes(count: float, text: str) -> None:
    assert format_bytes(count) == text


SECONDS = [
    (0, "0.00 s"),
    (1.234, "1.23 s"),
    (1, "1.00 s"),
    (0.00123, "1.23 ms"),
    (0.001, "1.00 ms"),
    (0.000999, "999 us"),
    (1e-6, "1 us"),
    (-0.002, "-2.00 ms"),
    (-3.0, "-3.00 s"),
]


@pytest.mark.parametrize(("seconds", "text"), SECONDS)
def test_format_seconds(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


RATES = [
    (0, "0.0/s"),
    (3.4, "3.4/s"),
    (99.94, "99.9/s"),
    (100, "100/s"),
    (1234567.8, "1,234,568/s"),
    (-5000, "-5,000/s"),
]


@pytest.mark.parametrize(("rate", "text"), RATES)
def test_format_rate(rate: float, text: str) -> None:
    assert format_rate(rate) == text


VALUES = [
    ("closed", "", "closed"),
    ("on", "keep-alive", "on keep-alive"),
    ("", "s", "s"),
    (20_971_520, "bytes", "20.0 MiB"),
    (0.0421, "s", "42.10 ms"),
    (7347, "1/s", "7,347/s"),
    (0.975, "ratio", "0.97"),
    (1, "ratio", "1.00"),
    (0.0, "ratio", "0.00"),
    (0.01, "ratio", "0.01"),
    (0.0042, "ratio", "0.004"),
    (-0.00049, "ratio", "-0.0005"),
    (5.63, "cores", "5.63 cores"),
    (16384, "connections", "16,384 connections"),
    (16384.0, "connections", "16,384 connections"),
    (0, "", "0"),
    (2.5, "requests", "2.50 requests"),
    (12345.678, "", "12,345.68"),
    (-3, "requests", "-3 requests"),
    (float("nan"), "requests", "nan requests"),
]


@pytest.mark.parametrize(("value", "unit", "text"), VALUES)
def test_format_value(value: float | int | str, unit: str, text: str) -> None:
    assert format_value(value, unit) == text
