"""Memory profilers: how they wrap a command, and what is made of what they write."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from diagnose.analysis.held import held_lines
from diagnose.analysis.located import located
from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.profilers.memory import _counted_classes, class_histogram, memray, scalene
from diagnose.profilers.memory._held import folded
from diagnose.reports import markdown
from diagnose.reports.phrases import held_text
from tests.builders import make_run, make_waits
from tests.reports.screens import analyzed

MIB = 2**20
DOCUMENT: dict[str, Any] = {
    "files": {
        "/srv/app.py": {
            "functions": [{"line": "read", "lineno": 3}, {"line": "upload", "lineno": 20}],
            "lines": [
                {"lineno": 1, "n_malloc_mb": 0.0},
                {"lineno": 4, "n_malloc_mb": 2.5},
                {"lineno": 28, "n_malloc_mb": 128.0},
            ],
        },
        "/srv/venv/bin/uvicorn": {"functions": [], "lines": [{"lineno": 8, "n_malloc_mb": 900.0}]},
    }
}


class TestScalene:
    @pytest.fixture
    def profiler(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> scalene.Profiler:
        monkeypatch.setattr(scalene.Profiler, "_need_scalene", lambda *_: None)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "profile").mkdir()
        return scalene.Profiler(tmp_path / "profile")

    def words(self, profiler: scalene.Profiler, *command: str) -> tuple[str, ...]:
        return profiler.wrapped(command, {}).command

    def test_a_script(self, profiler: scalene.Profiler, tmp_path: Path) -> None:
        words = self.words(profiler, sys.executable, "-u", "srv/app.py", "--port", "80")
        assert words[:4] == (sys.executable, "-m", "scalene", "run")
        assert words[-4:] == ("srv/app.py", "---", "--port", "80")
        assert words[words.index("--program-path") + 1] == str(tmp_path / "srv")

    def test_a_module_is_run_by_a_script(self, profiler: scalene.Profiler, tmp_path: Path) -> None:
        words = self.words(profiler, sys.executable, "-m", "my_server", "--port", "80")
        stub = Path(words[words.index("---") - 1])
        assert "run_module('my_server'" in stub.read_text()
        assert words[-2:] == ("--port", "80")
        assert words[words.index("--program-path") + 1] == str(tmp_path)

    @pytest.mark.parametrize(
        "first",
        [
            f"#!{sys.executable}",
            f'#!/bin/sh\n\'\'\'exec\' "{sys.executable}" "$0" "$@"',
        ],
    )
    def test_a_console_script(self, profiler: scalene.Profiler, tmp_path: Path, first: str) -> None:
        (tmp_path / "bin").mkdir()
        script = tmp_path / "bin" / "uvicorn"
        script.write_text(f"{first}\nimport sys\n")
        script.chmod(0o755)
        words = self.words(profiler, str(script), "app:app")
        assert words[0] == sys.executable
        assert words[-3:] == (str(script), "---", "app:app")
        assert words[words.index("--program-path") + 1] == str(tmp_path)

    @pytest.mark.parametrize(
        "command",
        [
            ("/bin/sh", "-c", "python app.py"),
            (sys.executable, "-c", "print()"),
            (sys.executable,),
            ("/nowhere/server",),
        ],
    )
    def test_what_is_no_program_of_python(
        self, profiler: scalene.Profiler, command: tuple[str, ...]
    ) -> None:
        with pytest.raises(scalene.Unwrappable, match=r"."):
            profiler.wrapped(command, {})

    def test_lines_by_function(self) -> None:
        assert scalene.lines(DOCUMENT, "/srv/venv/bin/uvicorn") == {
            ("process", "read (/srv/app.py:4)"): round(2.5 * MIB),
            ("process", "upload (/srv/app.py:28)"): 128 * MIB,
        }
        assert ("process", "<module> (/srv/venv/bin/uvicorn:8)") in scalene.lines(DOCUMENT)

    @pytest.mark.parametrize(
        ("text", "said"),
        [(None, "wrote no profile"), ("{", "could not be read"), ("{}", "saw no allocation")],
    )
    def test_a_remedy_for_each_failure(
        self, profiler: scalene.Profiler, tmp_path: Path, text: str | None, said: str
    ) -> None:
        if text is not None:
            (tmp_path / "profile" / scalene.OUT).write_text(text)
        (held,) = profiler.collect()
        assert said in held.remedy
        assert held.folded == ""

    def test_what_it_wrote(self, profiler: scalene.Profiler, tmp_path: Path) -> None:
        (tmp_path / "profile" / scalene.OUT).write_text(json.dumps(DOCUMENT))
        (held,) = profiler.collect()
        assert held.remedy == ""
        assert f"process;upload (/srv/app.py:28) {128 * MIB}" in held.folded.splitlines()
        assert json.loads(held.raw) == DOCUMENT


class TestMemray:
    def test_the_command_stays_and_the_hook_is_found(self, tmp_path: Path) -> None:
        wrapped = memray.Profiler(tmp_path).wrapped(("./run", "x"), {"PYTHONPATH": "/mine"})
        assert wrapped.command == ("./run", "x")
        first, second = wrapped.environment["PYTHONPATH"].split(":")
        assert (Path(first) / "sitecustomize.py").exists()
        assert second == "/mine"
        assert wrapped.environment["DIAGNOSE_MEMRAY_INTO"] == str(tmp_path)

    def test_what_could_not_be_read_is_said(self, tmp_path: Path) -> None:
        profiler = memray.Profiler(tmp_path)
        (none,) = profiler.collect()
        assert "started in no process" in none.remedy
        (tmp_path / "7.error").write_text("ImportError in Python 3.9: no memray")
        (failed,) = profiler.collect()
        assert failed.pid == 7
        assert "no memray" in failed.remedy


def test_the_line_that_holds_most_is_named() -> None:
    stacks = {
        "process;main (/srv/app.py:90);upload (/srv/app.py:28)": 128 * MIB,
        "process;main (/srv/app.py:90);log (/srv/app.py:40)": 3 * MIB,
        "process;[small allocations]": MIB,
    }
    profile = make_waits(stacks, kind="memory", unit="bytes")
    first, second = held_lines([profile])
    assert (first.at.short, first.bytes) == ("upload (app.py:28)", 128 * MIB)
    assert second.at.short == "log (app.py:40)"
    assert held_lines([]) == []
    run = make_run()
    found = Finding("body_buffered", Kind.CAUSE, Verdict.FOUND, "a claim")
    assert located(run, found) == found


def test_folded_stacks_are_heaviest_first_and_cannot_be_forged() -> None:
    text = folded({("process", "a;b (x.py:1)"): 1, ("process", "two\nlines"): 5, ("p", "none"): 0})
    assert text == "process;two lines 5\nprocess;a:b (x.py:1) 1\n"


def test_reports_name_the_lines() -> None:
    stacks = {"process;main (/srv/app.py:90);up|load (/srv/app.py:28)": 128 * MIB}
    profile = make_waits(stacks, kind="memory", unit="bytes")
    profile = replace(profile, note=replace(profile.note, profiler="memray"))
    item = analyzed(replace(make_run(), memory_profiles=(profile,)), ())
    assert held_text(item) == "up|load (app.py:28) 128.0 MiB (held)"
    assert "| 128.0 MiB held | `up\\|load (app.py:28)` |" in markdown.render([item])
    assert held_text(analyzed(make_run(), ())) == ""


LEAST = """4242:
 num     #instances         #bytes  class name (module)
-------------------------------------------------------
   1:          7194         332344  [B (java.base@17.0.15)
   2:          1425         175664  java.lang.Class (java.base@17.0.15)
   3:            10            400  [[Ljava.lang.Object; (java.base@17.0.15)
Total          8629         508408
"""
FULL = LEAST.replace("7194         332344", "7200      134550072").replace("508408", "134726136")


class TestClassHistogram:
    def test_classes_are_named_as_in_the_source(self) -> None:
        assert class_histogram.parse(LEAST) == {
            "byte[]": 332344,
            "java.lang.Class": 175664,
            "java.lang.Object[][]": 400,
        }

    @pytest.mark.parametrize("length", range(0, len(LEAST) - 24, 40))
    def test_one_that_was_cut_off_is_none(self, length: int) -> None:
        assert class_histogram.parse(LEAST[:length]) == {}
        assert _counted_classes.total(LEAST[:length]) is None

    def test_the_least_and_the_most_are_kept(self, tmp_path: Path) -> None:
        for histogram in (FULL, LEAST, LEAST[:100], FULL):
            _counted_classes.keep(tmp_path, 4242, histogram)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["4242.least", "4242.most"]
        (held,) = class_histogram.Profiler(tmp_path).collect()
        assert (held.pid, held.records, held.remedy) == (4242, 3, "")
        assert held.folded == "live objects;byte[] 134217728\n"

    def test_no_jvm_has_a_reason(self, tmp_path: Path) -> None:
        (held,) = class_histogram.Profiler(tmp_path).collect()
        assert "no JVM was there" in held.remedy
        (tmp_path / "4242.error").write_text("Operation not permitted\n")
        (held,) = class_histogram.Profiler(tmp_path).collect()
        assert held.remedy == "jcmd gave no class histogram: Operation not permitted"

    def test_the_command_runs_below_what_looks(self, tmp_path: Path) -> None:
        wrapped = class_histogram.Profiler(tmp_path).wrapped(("java", "Server", "$PORT"), {})
        assert wrapped.command[-3:] == ("java", "Server", "$PORT")
        assert wrapped.command[3] == str(tmp_path)

    def test_the_class_is_named_in_a_finding(self) -> None:
        profile = make_waits({"live objects;byte[]": 128 * MIB}, kind="memory", unit="bytes")
        profile = replace(profile, note=replace(profile.note, profiler="class_histogram"))
        run = replace(make_run(), memory_profiles=(profile,))
        finding = Finding("body_buffered", Kind.CAUSE, Verdict.FOUND, "memory grew")
        assert located(run, finding).claim == (
            "memory grew; 128.0 MiB more live at the height: byte[], in a second launch"
        )
        assert held_text(analyzed(run, ())) == "byte[] 128.0 MiB (more live at the height)"
