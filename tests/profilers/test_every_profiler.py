"""What the recorder relies on in every profiler."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from diagnose import registry
from diagnose.profilers._collected import Plan, Threads

PROFILERS = registry.modules("diagnose.profilers")


@pytest.mark.parametrize("name", PROFILERS)
def test_a_profiler_says_what_it_reads_and_how_often(name: str) -> None:
    module = PROFILERS[name]
    assert module.RUNTIMES
    assert all(kind == kind.lower() for kind in module.RUNTIMES)
    assert 1 <= module.RATE_HZ <= 1000
    assert isinstance(module.available(), str)


@pytest.mark.parametrize("name", PROFILERS)
def test_one_that_plans_is_told_of_it(name: str) -> None:
    module = PROFILERS[name]
    takes = "plan" in inspect.signature(module.command).parameters
    assert takes is hasattr(module, "plan")
    if takes:
        assert module.plan(Threads(1, 1, 1.0, 1.0), 1, 3.0) == Plan(module.RATE_HZ)
        less = module.plan(Threads(10_000, 1, 1.0, 1.0), 10_000, 3.0)
        assert 0 < less.hz < module.RATE_HZ
        assert less.why


@pytest.mark.parametrize("name", PROFILERS)
def test_no_file_and_no_words_are_a_remedy(name: str, tmp_path: Path) -> None:
    collected = PROFILERS[name].collect(tmp_path / "none", "")
    assert collected.folded == ""
    assert collected.remedy


def test_every_runtime_has_one_profiler() -> None:
    kinds = [kind for module in PROFILERS.values() for kind in module.RUNTIMES]
    assert len(kinds) == len(set(kinds))
    assert {"cpython", "native"} <= set(kinds)
