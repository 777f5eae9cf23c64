"""Pressure: how long work on the host had to wait for CPU, storage and memory."""

from __future__ import annotations

from diagnose.model.samples import PressureSample
from diagnose.sampling.procfile import ProcFile


def parse_pressure(data: bytes) -> tuple[float, float]:
    """Seconds in which some, and in which all work waited; 0.0 for a line that is not there.

    Raises: ValueError when a line is cut off before its total ends.
    Source: Documentation/accounting/psi.rst: `some avg10=0.00 ... total=N`, in microseconds.
    """
    found = {b"some": 0.0, b"full": 0.0}
    # The file ends with a line break: what follows the last one was cut off.
    lines = data.split(b"\n")
    if lines.pop():
        raise ValueError(f"pressure cut off: {data[-40:]!r}")
    for line in lines:
        kind, _, rest = line.partition(b" ")
        _, total, value = rest.partition(b"total=")
        if not total:
            raise ValueError(f"no total in {line[:60]!r}")
        found[kind] = int(value) / 1e6
    return found[b"some"], found[b"full"]


class PressureReader:
    """Pressure of the whole host.

    Raises: OSError where the kernel does not measure it.
    """

    def __init__(self) -> None:
        self._files: list[ProcFile] = []
        try:
            for name in ("cpu", "io", "memory"):
                self._files.append(ProcFile(f"/proc/pressure/{name}", 512))
            self.read()
        except OSError:
            self.close()
            raise

    def read(self) -> PressureSample:
        """The totals as they are now.

        Raises: OSError (EOPNOTSUPP where it was switched off at boot) or ValueError.
        """
        cpu, io, memory = (parse_pressure(file.read()) for file in self._files)
        return PressureSample(
            cpu_some_s=cpu[0],
            io_some_s=io[0],
            io_full_s=io[1],
            memory_some_s=memory[0],
            memory_full_s=memory[1],
        )

    def close(self) -> None:
        """Give the descriptors back."""
        for file in self._files:
            file.close()
        self._files.clear()
