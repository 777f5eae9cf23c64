"""Results on standard output; progress, notes and errors on standard error."""

from __future__ import annotations

import os
import sys

from rich.console import Console
from rich.live import Live as LiveDisplay
from rich.text import Text

from diagnose.errors import DiagnoseError
from diagnose.plain import printable
from diagnose.recorder import Live
from diagnose.units import format_bytes, format_rate


class _Results(Console):
    """Standard output; a reader that has gone (`| head`) does not end the work."""

    def on_broken_pipe(self) -> None:
        """What is left to print goes nowhere; files are still written."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


results_to = _Results(highlight=False, soft_wrap=False)
errors_to = Console(stderr=True, highlight=False)


def complain(error: DiagnoseError) -> None:
    """One error, once, without a traceback."""
    errors_to.print(Text(printable(f"diagnose: {error}")), soft_wrap=True)
    for note in getattr(error, "__notes__", ()):
        errors_to.print(Text(f"what was recorded is in {note}"), soft_wrap=True)


class Progress:
    """Shows the phases as they pass: a live line on a terminal, plain lines elsewhere."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live: LiveDisplay | None = None
        if errors_to.is_terminal and not quiet:
            self._live = LiveDisplay(Text(), console=errors_to, transient=True, auto_refresh=False)

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def phase(self, name: str) -> None:
        """A phase begins."""
        if self._live is not None:
            self._live.update(Text(f"{name} ...", style="cyan"), refresh=True)

    def phase_done(self, name: str, seconds: float, said: str) -> None:
        """A phase is over."""
        if not self._quiet:
            errors_to.print(
                Text(printable(f"{name:<9} {seconds:5.1f} s  {said}".rstrip())),
                soft_wrap=not errors_to.is_terminal,
            )

    def note(self, text: str) -> None:
        """Something the user should know."""
        if not self._quiet:
            errors_to.print(Text(printable(f"          {text}"), style="bold"), soft_wrap=True)

    def live(self, live: Live) -> None:
        """The figures of the moment."""
        if self._live is None:
            return
        text = (
            f"{live.phase:<9} {live.phase_s:5.1f} s  {format_rate(live.rps)}, "
            f"{live.in_flight} in flight, {live.failures} failures, "
            f"{live.cpu_cores:.2f} cores, RSS {format_bytes(live.rss)}, "
            f"sending {format_bytes(live.bytes_sent_rate)}/s"
        )
        self._live.update(Text(text, style="cyan"), refresh=True)


class Quieter(Progress):
    """For many short runs: their phases pass on the live line only, notes are shown."""

    @classmethod
    def of(cls, progress: Progress) -> Quieter:
        """The same display, told less."""
        quieter = cls(quiet=True)
        quieter._quiet, quieter._live = progress._quiet, progress._live
        return quieter

    def phase_done(self, name: str, seconds: float, said: str) -> None:
        """Nothing: the note of the load has the figures."""
