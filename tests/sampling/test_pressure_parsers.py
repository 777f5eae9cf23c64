"""Pressure of the host: captured, made by hand, cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnose.sampling.pressure import parse_pressure

DATA = Path(__file__).parents[1] / "data" / "sampling"
IO = (DATA / "pressure.io").read_bytes()
CPU = (DATA / "pressure.cpu").read_bytes()


def test_captured() -> None:
    assert parse_pressure(CPU) == (128.369513, 0.0)
    assert parse_pressure(IO) == (14.51258, 9.216174)


def test_older_kernels_tell_no_full_for_the_cpu() -> None:
    data = b"some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n"
    assert parse_pressure(data) == (2.5, 0.0)


def test_nothing() -> None:
    assert parse_pressure(b"") == (0.0, 0.0)


@pytest.mark.parametrize("data", [b"some avg10=0.00\n", b"full total=\n", b"some total=x\n"])
def test_not_pressure(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_pressure(data)


def test_cut_off_anywhere() -> None:
    """Only between lines is it whole."""
    first = len(IO.splitlines(keepends=True)[0])
    for cut in range(1, len(IO)):
        if cut == first:
            assert parse_pressure(IO[:cut]) == (14.51258, 0.0)
            continue
        with pytest.raises(ValueError, match="pressure cut off"):
            parse_pressure(IO[:cut])
