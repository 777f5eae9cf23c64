"""perf: its text as collapsed stacks, and what is said when it gives none."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from diagnose.profilers import perf
from diagnose.profilers._perf_script import Stacks, fold, lost
from diagnose.profilers.perf import collect
from diagnose.store.reader import parse_folded

CAPTURED = Path(__file__).parents[1] / "data" / "profilers" / "perf_script.txt"

NGINX = """\
nginx  4243 
\tffffffff8110b1c7 tcp_sendmsg ([kernel.kallsyms])
\t    7f2b3c4d5e6f __send (/usr/lib/libc.so.6)
\t    55d0a1b2c3d4 ngx_unix_send+0x3a (/usr/sbin/nginx)

nginx  4243 
\tffffffff8110b1c7 tcp_sendmsg ([kernel.kallsyms])
\t    7f2b3c4d5e6f __send (/usr/lib/libc.so.6)
\t    55d0a1b2c3d4 ngx_unix_send+0x3a (/usr/sbin/nginx)

nginx: worker 1  4244 
\t    7ffd1234abcd [unknown] ([vdso])

"""  # noqa: W291


class TestFold:
    """Blocks of frames, innermost first, as stacks, outermost first."""

    def test_equal_stacks_are_counted(self) -> None:
        stacks = fold(NGINX)
        assert stacks.samples == 3
        assert stacks.folded == (
            "nginx;ngx_unix_send;__send;tcp_sendmsg 2\nnginx: worker 1;[vdso] 1\n"
        )

    def test_a_captured_text_is_folded_whole(self) -> None:
        text = CAPTURED.read_text()
        folded = fold(text)
        stacks = parse_folded(folded.folded)
        assert folded.samples == 60
        assert sum(count for _, count in stacks) == 60
        assert {frames[0] for frames, _ in stacks} == {"python", "burn worker 1"}
        assert (
            ("burn worker 1", "[unknown]", "[unknown]", "_PyEval_EvalFrameDefault"),
            1,
        ) in stacks
        leaves = {frames[-1] for frames, _ in stacks}
        assert "crc32_z" in leaves
        assert not any("/" in frame for frames, _ in stacks for frame in frames)

    def test_cut_anywhere_it_does_not_raise_and_never_counts_more(self) -> None:
        text = CAPTURED.read_text()[:1500]
        counts = [fold(text[:length]).samples for length in range(len(text))]
        assert counts == sorted(counts)
        assert counts[-1] == fold(text).samples

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("", id="nothing"),
            pytest.param("\n\n\n", id="empty lines"),
            pytest.param("nginx 1\n\n", id="no frames"),
            pytest.param("\t  ff a (b)\n\n", id="no name"),
            pytest.param("nginx 1\n\tnot a frame\n\n", id="no frame among the lines"),
        ],
    )
    def test_what_is_not_a_sample_is_not_counted(self, text: str) -> None:
        assert fold(text) == Stacks("", 0, 0)

    def test_the_last_block_needs_no_empty_line(self) -> None:
        assert fold("a 1\n\tff f (b)") == Stacks("a;f 1\n", 1, 1)

    @pytest.mark.parametrize(
        ("line", "frame"),
        [
            pytest.param("ff main (/usr/bin/x)", "main", id="plain"),
            pytest.param("ff main+0x1f (/usr/bin/x)", "main", id="offset"),
            pytest.param("ff foo(int, char*) (/usr/bin/x)", "foo(int, char*)", id="signature"),
            pytest.param("ff main.(*T).ServeHTTP (/srv/go)", "main.(*T).ServeHTTP", id="Go"),
            pytest.param("ff <T as a::B>::c (/srv/rs)", "<T as a::B>::c", id="Rust"),
            pytest.param("ff x;y (/srv/x)", "x:y", id="a separator in the name"),
            pytest.param("ff [unknown] (/usr/lib/libc.so.6)", "[libc.so.6]", id="no symbol"),
            pytest.param("ff [unknown] ([unknown])", "[unknown]", id="no symbol, no module"),
            pytest.param("ff f (/tmp/x.so (deleted))", "f", id="deleted module"),
            pytest.param("ff std::function<void (int)>::operator()(int) const (/usr/bin/x)",
                         "std::function<void (int)>::operator()(int) const", id="C++ template"),
            pytest.param("ff f(void (*)(int)) (/tmp/x.so (deleted))", "f(void (*)(int))",
                         id="C++ pointer in a deleted module"),
            pytest.param("ff LazyCompile:*handler /srv/app.js:3 (/tmp/perf-1.map)",
                         "LazyCompile:*handler /srv/app.js:3", id="node"),
        ],
    )  # fmt: skip
    def test_frames_have_the_name_of_their_symbol(self, line: str, frame: str) -> None:
        assert fold(f"a 1\n\t{line}\n\n").folded == f"a;{frame} 1\n"


KERNEL = "ffffffff8110b1c7 tcp_sendmsg ([kernel.kallsyms])"
LIBC = "7f2b3c4d5e6f {} (/usr/lib/x86_64-linux-gnu/libc.so.6)"
APP = "55d0a1b2c3d4 {} (/srv/server)"


@pytest.mark.parametrize(
    ("frames", "truncated"),
    [
        pytest.param([APP.format("burn"), APP.format("main")], False, id="to main"),
        pytest.param([APP.format("burn"), APP.format("_start")], False, id="to the entry point"),
        pytest.param([APP.format("burn")], True, id="its innermost function alone"),
        pytest.param([KERNEL], True, id="the kernel alone"),
        pytest.param([KERNEL, LIBC.format("__send")], True, id="a system call, and no caller"),
        pytest.param([LIBC.format("memcpy"), LIBC.format("[unknown]")], True, id="within libc"),
        pytest.param(
            [APP.format("burn"), APP.format("work"), LIBC.format("[unknown]")],
            False,
            id="a thread of a stripped libc",
        ),
        pytest.param([APP.format("f"), LIBC.format("clone3")], False, id="a thread"),
        pytest.param([APP.format("main.f"), APP.format("runtime.goexit.abi0")], False, id="Go"),
        pytest.param([APP.format("runtime.goexits")], True, id="a name that only begins so"),
        pytest.param([APP.format("domain")], True, id="a name that only ends so"),
        pytest.param([APP.format("f"), APP.format("caml_runstack")], False, id="OCaml's fiber"),
        pytest.param([KERNEL, KERNEL.replace("tcp_sendmsg", "ret_from_fork_asm")], False,
                     id="a thread of the kernel"),
        pytest.param([APP.format("f")] * 127, True, id="deeper than perf follows"),
    ],
)  # fmt: skip
def test_a_stack_without_its_beginning_is_truncated(frames: list[str], truncated: bool) -> None:
    text = "a 1\n" + "".join(f"\t{frame}\n" for frame in frames) + "\n"
    assert fold(text * 3).truncated == 3 * truncated


def test_lost_samples_are_counted_and_are_no_stacks() -> None:
    text = NGINX + "nginx  4243 PERF_RECORD_LOST lost 12\n" + NGINX
    text += "nginx  4243 PERF_RECORD_LOST_SAMPLES lost 3\n\n"
    assert lost(text) == 15
    assert fold(text).samples == 6
    assert fold(text).folded == fold(NGINX * 2).folded


def script_says(monkeypatch: pytest.MonkeyPatch, text: str) -> list[Sequence[str]]:
    """Let `perf script` print this; the list gets its arguments."""
    calls: list[Sequence[str]] = []

    def run(arguments: Sequence[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        calls.append(arguments)
        return subprocess.CompletedProcess(arguments, 0, text.encode(), b"")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


class TestCollect:
    """What came of a recording."""

    def test_enough_samples_are_stacks(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "perf-1"
        out.write_bytes(b"PERFILE2")
        calls = script_says(monkeypatch, NGINX * 14)
        collected = collect(out, "[ perf record: Captured and wrote 0.1 MB ]")
        assert collected.samples == 42
        assert collected.remedy == ""
        assert "nginx;ngx_unix_send;__send;tcp_sendmsg 28" in collected.folded
        assert str(out) in calls[0]
        assert not out.exists(), "the raw data is not kept"

    def test_what_was_lost_and_cut_off_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "perf-1"
        out.write_bytes(b"PERFILE2")
        script_says(monkeypatch, NGINX * 14 + "nginx 1 PERF_RECORD_LOST lost 7\n\n")
        collected = collect(out, "[ perf record: Captured ]\nremark: by debug information\n")
        assert (collected.samples, collected.errors, collected.truncated) == (42, 7, 42)
        assert collected.remark == "by debug information"

    @pytest.mark.parametrize(("repeats", "samples"), [(0, 0), (13, 39)])
    def test_few_samples_are_no_profile(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repeats: int, samples: int
    ) -> None:
        out = tmp_path / "perf-1"
        out.write_bytes(b"PERFILE2")
        script_says(monkeypatch, NGINX * repeats)
        collected = collect(out, "")
        assert collected.folded == ""
        assert collected.samples == samples
        assert f"only {samples} samples" in collected.remedy

    @pytest.mark.parametrize(
        "said",
        [
            "Error:\nNo permission to enable cpu-clock event.",
            "Access to performance monitoring is limited.\n"
            "Consider adjusting /proc/sys/kernel/perf_event_paranoid setting",
            "failed to mmap: Permission denied",
        ],
        ids=["no permission", "paranoid", "denied"],
    )
    def test_missing_rights_have_a_remedy(self, tmp_path: Path, said: str) -> None:
        collected = collect(tmp_path / "none", said)
        assert collected.folded == ""
        assert "kernel.perf_event_paranoid" in collected.remedy

    @pytest.mark.parametrize(
        ("said", "quoted"),
        [
            ("Couldn't create thread/CPU maps: No such process\n", "No such process"),
            ("a\nb\nthe last line\n", "the last line"),
            ("", "it said nothing"),
            ("x" * 1000, "x" * 200),
        ],
        ids=["process gone", "last line", "silent", "long"],
    )
    def test_no_file_quotes_what_was_said(self, tmp_path: Path, said: str, quoted: str) -> None:
        collected = collect(tmp_path / "none", said)
        assert collected.remedy.startswith("perf gave no profile: ")
        assert quoted in collected.remedy
        assert len(collected.remedy) < 250

    def test_a_script_that_takes_too_long_is_given_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "perf-1"
        out.write_bytes(b"PERFILE2")

        def run(arguments: Sequence[str], **_: object) -> None:
            raise subprocess.TimeoutExpired(list(arguments), 30.0)

        monkeypatch.setattr(subprocess, "run", run)
        assert "took over 30 s" in collect(out, "").remedy
        assert not out.exists()


def test_command_records_one_process_for_so_long(tmp_path: Path) -> None:
    command = perf.command(4242, "go", 3.0, tmp_path / "out")
    assert command[:2] == ["perf", "record"]
    assert command[command.index("--pid") + 1] == "4242"
    assert command[-2:] == ["sleep", "3.0"]


@pytest.mark.parametrize("found", [None, "/usr/bin/perf"])
def test_available_names_the_package(monkeypatch: pytest.MonkeyPatch, found: str | None) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: found)
    assert ("not installed" in perf.available()) == (found is None)
