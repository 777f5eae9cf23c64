"""Page faults as bytes by function."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from diagnose.analysis.held import held_lines
from diagnose.analysis.located import located
from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.profilers.memory import _small_pages, page_faults
from diagnose.store.reader import parse_folded
from tests.builders import make_run, make_waits

PAGE = resource.getpagesize()
MIB = 2**20
SCRIPT = """\
my server  4243        {period} 
\t    7f2b3c4d5e6f __memset_avx2_unaligned_erms (/usr/lib/libc.so.6)
\t    55d0a1b2c3d4 hold+0x3a (/srv/server)
\t    55d0a1b2c3d5 main (/srv/server)

"""  # noqa: W291
KERNEL = """\
my server  4244        8 
\tffffffff8110b1c7 copy_to_user ([kernel.kallsyms])
\t    7f2b3c4d5e6f read (/usr/lib/libc.so.6)
\t    55d0a1b2c3d4 upload (/srv/server)

"""  # noqa: W291


def test_a_sample_stands_for_its_faults() -> None:
    text = SCRIPT.format(period=1) + SCRIPT.format(period=16) + KERNEL
    touched = page_faults.parse(text)
    hold = ("my server", "main", "hold", "__memset_avx2_unaligned_erms")
    assert touched == {
        4243: ({hold: 17 * PAGE}, 2),
        4244: ({("my server", "upload", "read"): 8 * PAGE}, 1),
    }


def test_cut_anywhere_it_does_not_raise_and_never_counts_more() -> None:
    text = SCRIPT.format(period=3) * 2
    sums = [
        sum(sum(weights.values()) for weights, _ in page_faults.parse(text[:length]).values())
        for length in range(len(text) + 1)
    ]
    assert sums == sorted(sums)
    assert sums[-1] == 6 * PAGE


@pytest.mark.parametrize("text", ["", "my server 4243\n\tff f (b)\n\n", "my server 4243 1 \n\n"])
def test_what_is_no_fault_is_left_out(text: str) -> None:
    assert page_faults.parse(text) == {}


def told(monkeypatch: pytest.MonkeyPatch, text: str, why: str = "") -> list[Sequence[str]]:
    """Let perf script print this."""
    calls: list[Sequence[str]] = []

    def run(command: Sequence[str], timeout_s: float) -> tuple[str, str]:
        calls.append(command)
        return text, why

    monkeypatch.setattr(page_faults, "run", run)
    return calls


def test_processes_with_enough_faults_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / page_faults.DATA).write_bytes(b"PERFILE2")
    calls = told(monkeypatch, SCRIPT.format(period=4) * 40 + KERNEL)
    (held,) = page_faults.Profiler(tmp_path).collect()
    assert (held.pid, held.records, held.remedy) == (4243, 40, "")
    ((stack, weight),) = parse_folded(held.folded)
    assert (stack[-2], weight) == ("hold", 160 * PAGE)
    assert "period" in calls[0][-1]
    assert not (tmp_path / page_faults.DATA).exists()


@pytest.mark.parametrize(
    ("written", "text", "why", "remedy"),
    [
        pytest.param(False, "", "", "perf recorded no page faults", id="no file"),
        pytest.param(True, "", "perf took over 60 s", "cannot be read: perf took", id="no script"),
        pytest.param(True, KERNEL * 39, "", "only 39 page faults", id="too few"),
        pytest.param(True, "", "", "only 0 page faults", id="none"),
    ],
)
def test_why_there_is_none(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: bool,
    text: str,
    why: str,
    remedy: str,
) -> None:
    if written:
        (tmp_path / page_faults.DATA).write_bytes(b"PERFILE2")
    told(monkeypatch, text, why)
    (held,) = page_faults.Profiler(tmp_path).collect()
    assert remedy in held.remedy
    assert held.folded == ""


def test_the_command_runs_below_perf(tmp_path: Path) -> None:
    wrapped = page_faults.Profiler(tmp_path).wrapped(("./server", "$PORT"), {"A": "1"})
    assert wrapped.command[:5] == (
        *(sys.executable, "-m", "diagnose.profilers.memory._small_pages"),
        *("perf", "record"),
    )
    assert wrapped.command[-3:] == ("--", "./server", "$PORT")
    assert wrapped.environment == {"A": "1"}


def test_huge_pages_are_forbidden_to_the_command() -> None:
    """Source: proc(5), /proc/PID/status: THP_enabled."""
    done = subprocess.run(
        [sys.executable, "-m", _small_pages.__name__, "cat", "/proc/self/status"],
        capture_output=True,
        text=True,
        timeout=20.0,
        check=True,
    )
    if "THP_enabled" not in done.stdout:
        pytest.skip("the kernel does not tell")
    assert "THP_enabled:\t0" in done.stdout


@pytest.mark.parametrize("found", [None, "/usr/bin/perf"])
def test_available_names_the_package(monkeypatch: pytest.MonkeyPatch, found: str | None) -> None:
    monkeypatch.setattr(page_faults, "shutil", SimpleNamespace(which=lambda _: found))
    assert ("not installed" in page_faults.available()) == (found is None)


@pytest.mark.parametrize(
    ("stack", "named"),
    [
        ("main;upload;hold;__memset_avx2_unaligned_erms", "hold"),
        ("main;read_body;realloc;__libc_realloc;_int_realloc", "read_body"),
        ("main;stream;read", "stream"),
        ("main;std::string::append(char);operator new(unsigned long);malloc", "main"),
        ("server::upload;alloc::vec::Vec<T>::reserve;__rust_alloc;[libc.so.6]", "server::upload"),
        ("runtime.goexit.abi0;main.upload;io.ReadAll;runtime.growslice", "io.ReadAll"),
        ("caml_main;camlServer__upload_12;caml_alloc_shr;malloc", "camlServer__upload_12"),
    ],
)
def test_who_allocates_is_named_and_not_the_allocator(stack: str, named: str) -> None:
    profile = make_waits({f"server;{stack}": 128 * MIB}, kind="memory", unit="bytes")
    profile = replace(profile, note=replace(profile.note, profiler="page_faults"))
    (line,) = held_lines([profile])
    assert (line.at.function, line.bytes) == (named, 128 * MIB)
    run = replace(make_run(), memory_profiles=(profile,))
    claim = located(run, Finding("body_buffered", Kind.CAUSE, Verdict.FOUND, "grew")).claim
    assert f"128.0 MiB first touched: {named}" in claim


def test_stacks_of_an_allocator_alone_name_nobody() -> None:
    profile = make_waits({"server;malloc;[libc.so.6]": 128 * MIB}, kind="memory", unit="bytes")
    profile = replace(profile, note=replace(profile.note, profiler="page_faults"))
    assert held_lines([profile]) == []
