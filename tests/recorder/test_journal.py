"""The phases of a run as they are written down, the load's when their times are known."""

from __future__ import annotations

from typing import cast

import pytest

from diagnose.model.run import Manifest, PhaseSpan
from diagnose.recorder.journal import Journal
from diagnose.recorder.options import Live
from diagnose.store.writer import RunWriter
from tests.builders import make_manifest


class Watching:
    """An observer and a writer: keeps what it gets."""

    def __init__(self) -> None:
        self.manifests: list[Manifest] = []
        self.said: list[tuple[str, str]] = []

    def manifest(self, manifest: Manifest) -> None:
        self.manifests.append(manifest)

    def phase(self, name: str) -> None:
        self.said.append(("begins", name))

    def phase_done(self, name: str, seconds: float, said: str) -> None:
        assert seconds >= 0
        self.said.append((name, said))

    def live(self, live: Live) -> None:
        """The figures of the moment."""

    def note(self, text: str) -> None:
        self.said.append(("note", text))


def journal(*phases: PhaseSpan) -> tuple[Journal, Watching]:
    watching = Watching()
    manifest = make_manifest(phases=phases)
    return Journal(manifest, cast(RunWriter, watching), watching), watching


IDLE, LOAD = PhaseSpan("idle", 1.0, 2.0), PhaseSpan("load", 10.0, 30.0)
COOLDOWN = PhaseSpan("cooldown", 30.0, 32.0)


def test_the_load_is_split_when_its_times_are_known() -> None:
    written, _ = journal(IDLE, LOAD, COOLDOWN)
    written.split_load(12.0, 17.0, 0.0, 0.5)
    assert written.manifest.phases == (
        IDLE,
        PhaseSpan("warmup", 10.0, 12.0),
        PhaseSpan("window", 12.0, 17.0),
        PhaseSpan("drain", 17.0, 17.5),
        COOLDOWN,
    )


def test_a_proof_lies_between_window_and_drain() -> None:
    """It is load, with work that is none of the server's: no figure may come from it."""
    written, _ = journal(LOAD)
    written.split_load(12.0, 17.0, 1.25, 0.5)
    assert written.manifest.phases[1:] == (
        PhaseSpan("window", 12.0, 17.0),
        PhaseSpan("proof", 17.0, 18.25),
        PhaseSpan("drain", 18.25, 18.75),
    )


def test_without_a_load_nothing_is_split() -> None:
    written, _ = journal(IDLE)
    written.split_load(12.0, 17.0, 1.0, 0.5)
    assert written.manifest.phases == (IDLE,)


def test_a_phase_is_on_disk_while_it_lasts() -> None:
    written, watching = journal()
    with written.phase("probe") as said:
        assert written.current == "probe"
        (span,) = watching.manifests[-1].phases
        assert (span.name, span.ended) == ("probe", None)
        said += ["5 of 5", "well"]
    assert written.current == ""
    assert watching.manifests[-1].phases[0].ended is not None
    assert watching.said == [("begins", "probe"), ("probe", "5 of 5; well")]


def test_a_phase_ends_when_it_fails() -> None:
    written, watching = journal()

    def fail() -> None:
        with written.phase("launch"):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert written.manifest.phases[0].ended is not None
    assert watching.said[-1] == ("launch", "")


def test_notes_are_kept_and_said() -> None:
    written, watching = journal()
    written.note("one")
    written.note("two")
    assert watching.manifests[-1].notes == ("one", "two")
    assert watching.said == [("note", "one"), ("note", "two")]
