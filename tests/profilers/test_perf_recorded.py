"""How perf is to follow stacks: a probe tells."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from diagnose.profilers import _perf_recorded, perf
from diagnose.profilers._perf_script import Stacks
from diagnose.profilers._told import REMARK

ROOTED = "burn 1\n\t55d0a1b2c3d4 burn (/srv/a)\n\t55d0a1b2c3d5 main (/srv/a)\n\n"
ALONE = "burn 1\n\t55d0a1b2c3d4 burn (/srv/a)\n\n"


@pytest.mark.parametrize(
    ("samples", "truncated", "way"),
    [
        pytest.param(150, 0, perf.BY_FRAME_POINTERS, id="all have a root"),
        pytest.param(100, 25, perf.BY_FRAME_POINTERS, id="most have"),
        pytest.param(100, 26, perf.BY_DEBUG_INFORMATION, id="too many have none"),
        pytest.param(150, 150, perf.BY_DEBUG_INFORMATION, id="none has"),
        pytest.param(19, 0, perf.BY_DEBUG_INFORMATION, id="too few to tell"),
        pytest.param(0, 0, perf.BY_DEBUG_INFORMATION, id="nothing"),
    ],
)
def test_debug_information_where_frame_pointers_do_not_lead_to_the_root(
    samples: int, truncated: int, way: str
) -> None:
    chosen, remark = _perf_recorded.graph(Stacks("", samples, truncated))
    assert chosen == way
    assert bool(remark) is (way == perf.BY_DEBUG_INFORMATION and samples >= 20)


@pytest.fixture
def fake_perf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A perf that notes how it was called; `script` prints the file `text`."""
    program = tmp_path / "bin" / "perf"
    program.parent.mkdir()
    program.write_text(
        f"""#!/bin/sh
echo "$@" >> {tmp_path}/calls
[ -e {tmp_path}/fails ] && {{ echo "No permission to enable cpu-clock event."; exit 255; }}
[ "$1" = script ] && exec cat {tmp_path}/text
while [ "$1" != --output ]; do shift; done
echo data > "$2"
"""
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "way", "said"),
    [
        (ROOTED * 30, "fp", []),
        (
            ALONE * 30,
            "dwarf,16384",
            [f"{REMARK}stacks by debug information: by frame pointers 100% of 30 had no root"],
        ),
    ],
)
def test_the_probe_decides_the_recording(
    fake_perf: Path, text: str, way: str, said: list[str]
) -> None:
    (fake_perf / "text").write_text(text)
    out = fake_perf / "perf-7"
    assert list(_perf_recorded.main(["7", "3.0", str(out)])) == said
    probe, script, recording = (fake_perf / "calls").read_text().splitlines()
    assert "--call-graph fp " in probe
    assert probe.endswith("-- sleep 0.3")
    assert script.startswith("script ")
    assert f"--call-graph {way} --pid 7 --output {out} -- sleep " in recording
    assert 2.0 < float(recording.rpartition(" ")[2]) <= 3.0
    # What it began with is gone.
    assert sorted(path.name for path in fake_perf.glob("perf-7*")) == ["perf-7"]


def test_a_perf_that_may_not_attach_is_not_asked_again(
    fake_perf: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (fake_perf / "fails").touch()
    out = fake_perf / "perf-7"
    assert list(_perf_recorded.main(["7", "3.0", str(out)])) == []
    assert len((fake_perf / "calls").read_text().splitlines()) == 1
    assert "perf_event_paranoid" in perf.collect(out, capfd.readouterr().out).remedy


def test_an_interrupt_ends_perf_and_what_was_to_come(fake_perf: Path) -> None:
    program = fake_perf / "bin" / "perf"
    program.write_text(
        f"""#!/bin/sh
trap 'echo interrupted >> {fake_perf}/calls; exit 2' INT
echo "$1" >> {fake_perf}/calls
while :; do sleep 0.02; done
"""
    )
    calls = fake_perf / "calls"
    out = fake_perf / "perf-7"
    process = subprocess.Popen(
        [sys.executable, "-m", "diagnose.profilers._perf_recorded", "7", "3.0", str(out)],
        start_new_session=True,
        # A shell cannot trap what is ignored, as it is in tests that run in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        deadline = time.monotonic() + 20.0
        while not calls.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(20.0) == 0
    finally:
        process.kill()
        process.wait()
    assert calls.read_text().splitlines() == ["record", "interrupted"]
    assert list(fake_perf.glob("perf-7*")) == []


def test_a_short_window_is_long_enough_after_the_probe(fake_perf: Path) -> None:
    (fake_perf / "text").write_text(ROOTED)
    list(_perf_recorded.main(["7", "0.1", str(fake_perf / "perf-7")]))
    assert (fake_perf / "calls").read_text().splitlines()[-1].endswith("-- sleep 0.5")


@pytest.mark.parametrize(
    ("runtime", "way"),
    [("go", "fp"), ("nginx", "fp"), ("cpython", "fp"), ("node", "fp"), ("ocaml", "dwarf,16384")],
)
def test_what_is_known_of_a_runtime_is_not_tried(runtime: str, way: str, tmp_path: Path) -> None:
    command = perf.command(7, runtime, 3.0, tmp_path / "out")
    assert command[command.index("--call-graph") + 1] == way


@pytest.mark.parametrize("runtime", ["native", "rust"])
def test_what_compilers_may_have_left_out_is_tried(runtime: str, tmp_path: Path) -> None:
    command = perf.command(7, runtime, 3.0, tmp_path / "out")
    assert command[1:3] == ["-m", "diagnose.profilers._perf_recorded"]
    assert command[3:] == ["7", "3.00", str(tmp_path / "out")]
