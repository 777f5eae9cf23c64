"""What the recorder relies on in every profiler."""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnose import registry

PROFILERS = registry.modules("diagnose.profilers")


@pytest.mark.parametrize("name", PROFILERS)
def test_a_profiler_says_what_it_reads_and_how_often(name: str) -> None:
    module = PROFILERS[name]
    assert module.RUNTIMES
    assert all(kind == kind.lower() for kind in module.RUNTIMES)
    assert 1 <= module.RATE_HZ <= 1000
    assert isinstance(module.available(), str)


@pytest.mark.parametrize("name", PROFILERS)
def test_no_file_and_no_words_are_a_remedy(name: str, tmp_path: Path) -> None:
    collected = PROFILERS[name].collect(tmp_path / "none", "")
    assert collected.folded == ""
    assert collected.remedy


def test_every_runtime_has_one_profiler() -> None:
    kinds = [kind for module in PROFILERS.values() for kind in module.RUNTIMES]
    assert len(kinds) == len(set(kinds))
    assert {"cpython", "native"} <= set(kinds)
