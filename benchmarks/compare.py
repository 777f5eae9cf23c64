"""How often `diagnose compare` errs, and what it finds: simulated from the noise of real runs.

`python -m benchmarks.compare COMPARISON.json [--draws 10000]`

COMPARISON.json is that of a server compared with itself (`diagnose compare --base CMD --new CMD`):
its runs differ by noise only. Each simulated comparison draws as many runs as it looks at, whole
(all metrics of a run together, as they hang together), from these runs with their drift taken out,
and adds the drift of a random stretch of neighbors back: what pairs cancel is there to be canceled.
Three looks, at the numbers of pairs of the command. Printed: the share in which any metric is said
to be worse, or better, without a difference; and how often throughput that is 5 % and 10 % lower is
found, with the number of pairs that it took.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diagnose.analysis.comparison import (
    ALPHA,
    ALPHA_OF_LOOK,
    LOOKS,
    METRICS,
    Change,
    compare_values,
    decided,
)
from diagnose.analysis.figures import figures
from diagnose.store.reader import read_run

Floats = NDArray[np.float64]
SHIFTS = (0.0, 0.05, 0.10)


def noise(path: Path) -> tuple[list[str], Floats]:
    """Metrics, and for each run (in the order of time) the logarithms of their figures."""
    document = json.loads(path.read_bytes())
    runs = sorted(document["runs"]["base"] + document["runs"]["new"])
    seen = [figures(read_run(Path(run))) for run in runs]
    rows = {metric.name: [metric.of(each) for each in seen] for metric in METRICS}
    told = {
        name: values
        for name, values in rows.items()
        if all(value is not None and value > 0 for value in values)
    }
    return list(told), np.log(np.array(list(told.values()), dtype=float)).T


def simulate(names: list[str], logs: Floats, shift: float, draws: int) -> tuple[Counter[str], int]:
    """How many comparisons came to what; pairs that were used in all."""
    random = np.random.default_rng(20260401)
    metrics = {metric.name: metric for metric in METRICS}
    # Noise of a run beside its neighbors, and the slow drift below it.
    drift = np.array([np.convolve(column, np.ones(5) / 5, mode="valid") for column in logs.T]).T
    fast = logs[2:-2] - drift
    # A mean of five takes a fifth of the noise with it.
    fast *= np.sqrt(5 / 4)
    outcomes: Counter[str] = Counter()
    used = 0
    for _ in range(draws):
        runs = 2 * LOOKS[-1]
        start = random.integers(0, len(drift))
        slow = drift[(start + np.arange(runs)) % len(drift)]
        values = slow + fast[random.integers(0, len(fast), runs)]
        pairs = values.reshape(LOOKS[-1], 2, len(names))
        # A B, B A.
        pairs[1::2] = pairs[1::2, ::-1]
        base, new = np.exp(pairs[:, 0]), np.exp(pairs[:, 1])
        if shift and "rps" in names:
            new[:, names.index("rps")] *= 1 - shift
        for look in LOOKS:
            told = [
                (metrics[name], base[:look, place].tolist(), new[:look, place].tolist())
                for place, name in enumerate(names)
            ]
            rows = compare_values(told, ALPHA_OF_LOOK)
            if decided(rows):
                break
        used += look
        changes = {row.change for row in rows}
        outcomes["any worse"] += Change.WORSE in changes
        outcomes["any better"] += Change.BETTER in changes
        outcomes["any changed"] += bool(changes & {Change.WORSE, Change.BETTER})
        rate = next((row for row in rows if row.metric.name == "rps"), None)
        outcomes["throughput worse"] += rate is not None and rate.change is Change.WORSE
        outcomes["undecided"] += Change.UNDECIDED in changes
    return outcomes, used


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("comparison", type=Path)
    parser.add_argument("--draws", type=int, default=10_000)
    options = parser.parse_args()
    names, logs = noise(options.comparison)
    deviations = np.sqrt(np.mean(np.diff(logs, axis=0) ** 2, axis=0))
    print(f"{len(logs)} runs; from run to run: " + ", ".join(
        f"{name} {deviation:.1%}" for name, deviation in zip(names, deviations, strict=True)
    ))  # fmt: skip
    print(f"\n{options.draws} comparisons each; allowed to err: {ALPHA:.0%}\n")
    print("| throughput lower by | any worse | any better | throughput worse | undecided | pairs |")
    print("|---:|---:|---:|---:|---:|---:|")
    for shift in SHIFTS:
        outcomes, used = simulate(names, logs, shift, options.draws)
        shares = [
            f"{outcomes[name] / options.draws:.2%}"
            for name in ("any worse", "any better", "throughput worse", "undecided")
        ]
        print(f"| {shift:.0%} | {' | '.join(shares)} | {used / options.draws:.1f} |", flush=True)


if __name__ == "__main__":
    main()
