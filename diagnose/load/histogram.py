"""Latencies counted in buckets of less than 0.1 % width, at the cost of a list append each.

The bucket layout is HdrHistogram's for three significant digits over microseconds, so that counts
go into its log format unchanged.
Source: the HdrHistogram design, http://hdrhistogram.org.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from diagnose.model.load import Latency

SUB_BUCKETS = 2048
_HALF = SUB_BUCKETS // 2
_HALF_BITS = 10
MAX_MICROSECONDS = 3_600_000_000
_SIZE = _HALF * 24


def bucket_values(index: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The middle of each bucket, in seconds."""
    bucket = np.maximum(index // _HALF - 1, 0)
    sub = np.where(index < SUB_BUCKETS, index, index % _HALF + _HALF)
    low = sub << bucket
    return (low + ((1 << bucket) - 1) / 2) / 1e6


class Histogram:
    """Counts of latencies; merges by addition."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self._counts: npt.NDArray[np.int64] = np.zeros(_SIZE, dtype=np.int64)
        for index, count in (counts or {}).items():
            self._counts[index] += count

    def record(self, seconds: Sequence[float]) -> None:
        """Add latencies in seconds, rounded to a microsecond (at least one)."""
        if not seconds:
            return
        micros = np.clip(
            np.rint(np.asarray(seconds, dtype=np.float64) * 1e6), 1, MAX_MICROSECONDS
        ).astype(np.int64)
        exponent = np.frexp(micros.astype(np.float64))[1].astype(np.int64)
        bucket = np.maximum(exponent - (_HALF_BITS + 1), 0)
        np.add.at(self._counts, (bucket << _HALF_BITS) + (micros >> bucket), 1)

    def counts(self) -> dict[int, int]:
        """The buckets that are not empty."""
        (indices,) = np.nonzero(self._counts)
        return {int(index): int(self._counts[index]) for index in indices}

    def merge(self, other: Histogram) -> None:
        """Add the counts of another histogram."""
        self._counts += other._counts

    @property
    def samples(self) -> int:
        """How many latencies were recorded."""
        return int(self._counts.sum())

    def percentile(self, percent: float) -> float:
        """The latency in seconds that `percent` of the samples do not exceed; 0.0 when empty."""
        total = self.samples
        if total == 0:
            return 0.0
        rank = max(1, int(np.ceil(total * percent / 100)))
        index = int(np.searchsorted(np.cumsum(self._counts), rank))
        return float(bucket_values(np.array([index]))[0])

    def latency(self) -> Latency:
        """The summary of the distribution."""
        total = self.samples
        if total == 0:
            return Latency()
        (indices,) = np.nonzero(self._counts)
        values = bucket_values(indices.astype(np.int64))
        return Latency(
            samples=total,
            mean_s=float((values * self._counts[indices]).sum() / total),
            p50_s=self.percentile(50),
            p90_s=self.percentile(90),
            p99_s=self.percentile(99),
            p999_s=self.percentile(99.9),
            max_s=float(values[-1]),
        )
