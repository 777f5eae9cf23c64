"""How often each rule was right where its answer is known: measured by `diagnose selftest`, stored
with the package (confidence.json), shown beside every finding."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

import msgspec

FILE = "confidence.json"


class Record(msgspec.Struct, frozen=True):
    """Runs in which a rule found what is true, what may be true, and what is not; in which it said
    clear where it is true, and did not know."""

    found: int = 0
    possible: int = 0
    false: int = 0
    missed: int = 0
    undecided: int = 0

    @property
    def all_found(self) -> int:
        """Runs in which it found something."""
        return self.found + self.possible + self.false

    @property
    def precision(self) -> float | None:
        """The share of right ones among these; None without any."""
        return 1 - self.false / self.all_found if self.all_found else None


class Measured(msgspec.Struct, frozen=True):
    """A selftest: with what version, when (ISO 8601), where, on how many servers; by rule."""

    version: str
    date: str
    cpu: str
    cores: int
    kernel: str
    servers: int
    passes: int
    rules: dict[str, Record]

    def sentence(self, rule: str) -> str:
        """What a report says of a rule: counts, not only a share, because few runs prove little."""
        record = self.rules.get(rule)
        where = f"{self.cores} cores, {self.date[:10]}"
        if record is None or not record.all_found:
            return f"never found in the selftest ({where})"
        right = record.all_found - record.false
        return f"right in {right} of {record.all_found} selftest runs that found it ({where})"


@cache
def measured() -> Measured | None:
    """What is stored with the package; None where nothing is, or another form of it."""
    try:
        text = resources.files("diagnose.analysis").joinpath(FILE).read_bytes()
        return msgspec.json.decode(text, type=Measured)
    except (OSError, msgspec.MsgspecError):
        return None


def encoded(about: Mapping[str, object], rules: Mapping[str, Mapping[str, int]]) -> bytes:
    """The form in which it is stored. about: the fields beside `rules`.

    Raises: msgspec.ValidationError when a field is missing or of another type.
    """
    stored = msgspec.convert({**about, "rules": rules}, type=Measured)
    return msgspec.json.format(msgspec.json.encode(stored), indent=1) + b"\n"
