"""Times and sizes as drivers print them."""

from __future__ import annotations

import pytest

from diagnose.load.drivers._quantities import seconds, size


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0us", 0.0),
        ("90.00us", 90e-6),
        ("133.17ms", 0.13317),
        ("1.60s", 1.6),
        ("2m", 120.0),
        ("1.5h", 5400.0),
    ],
)
def test_times(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0B", 0), ("0.00B", 0), ("1.50KB", 1536), ("2MB", 2 << 20), ("1GB", 1 << 30)],
)
def test_sizes(text: str, value: int) -> None:
    assert size(text) == value


@pytest.mark.parametrize("text", ["", "1", "ms", "-1ms", "nan", "1 s", "1e3s", "9" * 400 + "s"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="no time"):
        seconds(text)


@pytest.mark.parametrize("text", ["", "1", "KB", "-1B", "1XB", "9" * 400 + "B"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="no size"):
        size(text)
