"""The manifest as the run goes: every change is on disk before the run goes on."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from diagnose.model.run import Manifest, PhaseSpan
from diagnose.recorder.options import Observer
from diagnose.store.writer import RunWriter

_log = logging.getLogger(__name__)


class Journal:
    """The manifest of a run, with its writer and whoever watches."""

    def __init__(self, manifest: Manifest, writer: RunWriter, observer: Observer) -> None:
        self.manifest = manifest
        self.writer = writer
        self._observer = observer
        writer.manifest(manifest)

    def update(self, **changes: object) -> None:
        """Fields of the manifest by name."""
        self.manifest = replace(self.manifest, **changes)  # type: ignore[arg-type]
        self.writer.manifest(self.manifest)

    def note(self, text: str) -> None:
        """Something a reader of the run should know."""
        _log.warning("%s", text)
        self._observer.note(text)
        self.update(notes=(*self.manifest.notes, text))

    @contextmanager
    def phase(self, name: str) -> Iterator[list[str]]:
        """A phase with its times; what is appended to the list is shown when it ends."""
        self._observer.phase(name)
        began = time.monotonic()
        self.update(phases=(*self.manifest.phases, PhaseSpan(name, began)))
        said: list[str] = []
        try:
            yield said
        finally:
            self.close_spans()
            self._observer.phase_done(name, time.monotonic() - began, "; ".join(said))

    def close_spans(self) -> None:
        """No phase lasts any longer."""
        now = time.monotonic()
        self.update(
            phases=tuple(
                span if span.ended is not None else replace(span, ended=now)
                for span in self.manifest.phases
            )
        )

    def split_load(
        self, window_began: float, window_ended: float, proof_s: float, drain_s: float
    ) -> None:
        """Replace the span `load` by warm-up, window, proof (where there was one) and drain, now
        that their times are known."""
        spans = []
        for span in self.manifest.phases:
            if span.name != "load":
                spans.append(span)
                continue
            load = [
                PhaseSpan("warmup", span.started, window_began),
                PhaseSpan("window", window_began, window_ended),
            ]
            if proof_s:
                load.append(PhaseSpan("proof", window_ended, window_ended + proof_s))
            proved = window_ended + proof_s
            spans += [*load, PhaseSpan("drain", proved, proved + drain_s)]
        self.update(phases=tuple(spans))

    @property
    def current(self) -> str:
        """The phase that lasts; '' between phases."""
        names = [span.name for span in self.manifest.phases if span.ended is None]
        return names[-1] if names else ""
