"""Memory profilers around real servers: who took the memory, and nothing that stays."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest

from diagnose.analysis.held import held_lines
from diagnose.model.profile import OUTSIDE_HEAP, Profile, ProfileNote
from diagnose.profilers.memory import heap_sampling, page_faults
from diagnose.profilers.memory._held import Held
from diagnose.store.reader import parse_folded
from tests.integration.conftest import program

pytestmark = pytest.mark.integration

DEADLINE_S = 40.0
MIB = 2**20
NODE = """
const held = [], buffers = []
function holdStrings() { for (let i = 0; i < 20; i++) held.push('x' + new Array(1e5).fill(i)) }
function holdBuffers() { buffers.push(Buffer.alloc(32 << 20, 1)) }
setTimeout(() => { holdStrings(); holdBuffers() }, 300)
setTimeout(() => { held.length = 0 }, 1500)
setTimeout(() => process.exit(3), 2000)
"""
C = """
#include <stdlib.h>
#include <string.h>
__attribute__((noipa)) char *hold(size_t n) { char *p = malloc(n); memset(p, 1, n); return p; }
__attribute__((noipa)) char *upload(size_t n) { char *p = hold(n); p[0] = 2; return p; }
int main(void) { for (int i = 0; i < 64; i++) if (!upload(1 << 20)) return 1; return 0; }
"""


def profile_of(held: Held, profiler: str) -> Profile:
    """As a run has it."""
    note = ProfileNote(
        profiler, held.pid, "", 0, held.records, 0, "memory.folded", kind="memory", unit="bytes"
    )
    return Profile(note, parse_folded(held.folded))


def test_the_heap_of_node_at_its_height(tmp_path: Path) -> None:
    into = tmp_path / "profile"
    into.mkdir()
    (tmp_path / "app.js").write_text(NODE)
    profiler = heap_sampling.Profiler(into)
    wrapped = profiler.wrapped([program("node"), str(tmp_path / "app.js")], os.environ)
    done = subprocess.run(
        wrapped.command, env=dict(wrapped.environment), capture_output=True, timeout=DEADLINE_S
    )
    assert done.returncode == 3, done.stderr
    (held,) = profiler.collect()
    assert held.remedy == ""
    assert not psutil.pid_exists(held.pid)
    lines = held_lines([profile_of(held, "heap_sampling")])
    assert lines[0].at.function == OUTSIDE_HEAP
    assert 32 * MIB <= lines[0].bytes < 40 * MIB
    assert lines[1].at.short == "holdStrings (app.js:3)"
    # 20 arrays of 100,000 elements, as text with commas.
    assert lines[1].bytes > 2 * MIB


def test_page_faults_of_a_program_in_c(tmp_path: Path) -> None:
    if shutil.which("perf") is None:
        pytest.skip("perf is not installed")
    (tmp_path / "holding.c").write_text(C)
    compiled = [program("gcc"), "-O2", str(tmp_path / "holding.c"), "-o", str(tmp_path / "holding")]
    subprocess.run(compiled, check=True, timeout=DEADLINE_S)
    profiler = page_faults.Profiler(tmp_path)
    wrapped = profiler.wrapped([str(tmp_path / "holding")], os.environ)
    done = subprocess.run(
        wrapped.command, env=dict(wrapped.environment), capture_output=True, timeout=DEADLINE_S
    )
    assert done.returncode == 0, done.stderr
    (held,) = profiler.collect()
    assert held.remedy == ""
    (line,) = held_lines([profile_of(held, "page_faults")])
    assert line.at.function == "hold"
    assert line.bytes == pytest.approx(64 * MIB, rel=0.1)
    stacks = parse_folded(held.folded)
    assert any("upload" in frames for frames, _ in stacks)
