"""Kinds of work in profiles: names of real runtimes, shares, callers."""

from __future__ import annotations

import re
import tomllib
from importlib import resources

import pytest

from diagnose.analysis.work import (
    MIN_SAMPLES,
    TABLES,
    is_of_thread,
    kinds_of,
    short,
    tables,
    thread_tables,
    work,
)
from diagnose.model.profile import Profile, ProfileNote
from tests.builders import make_run

LIB = "/usr/lib/python3.11"


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        # zlib, zlib-ng, brotli, isal, Go, the JVM; libraries without symbols.
        ("deflate_slow", "compression"),
        ("longest_match", "compression"),
        ("BrotliEncoderCompressStream", "compression"),
        ("isal_deflate_body_04", "compression"),
        ("compress/flate.(*compressor).deflate", "compression"),
        ("[libz.so.1.2.13]", "compression"),
        ("[_brotli.cpython-311-x86_64-linux-gnu.so]", "compression"),
        ("[isal_zlib.cpython-311-x86_64-linux-gnu.so]", "compression"),
        ("java.util.zip.Deflater.deflate", "compression"),
        # JSON out and in.
        (f"JSONEncoder.iterencode ({LIB}/json/encoder.py:258)", "serialization"),
        (f"dumps ({LIB}/json/__init__.py:231)", "serialization"),
        ("encoding/json.(*encodeState).marshal", "serialization"),
        ("v8::internal::JsonStringifier::Serialize_", "serialization"),
        ("[orjson.cpython-311-x86_64-linux-gnu.so]", "serialization"),
        ("php_json_encode_zval", "serialization"),
        ("com.fasterxml.jackson.databind.ser.BeanSerializer.serialize", "serialization"),
        (f"JSONDecoder.raw_decode ({LIB}/json/decoder.py:353)", "deserialization"),
        (f"loads ({LIB}/json/__init__.py:346)", "deserialization"),
        ("encoding/json.(*decodeState).object", "deserialization"),
        ("v8::internal::JsonParser<unsigned char>::ParseJsonValue", "deserialization"),
        ("php_json_yyparse", "deserialization"),
        # Collectors.
        ("gc_collect_main", "gc"),
        ("dict_traverse", "gc"),
        ("runtime.gcBgMarkWorker", "gc"),
        ("runtime.scanobject", "gc"),
        ("v8::internal::ScavengerCollector::CollectGarbage", "gc"),
        ("v8::internal::MarkCompactCollector::MarkLiveObjects", "gc"),
        ("gc_marks_rest", "gc"),
        ("erts_garbage_collect", "gc"),
        ("caml_empty_minor_heap", "gc"),
        ("WKS::gc_heap::mark_phase", "gc"),
        # Exceptions.
        (f"format_exc ({LIB}/traceback.py:184)", "exceptions"),
        ("PyTraceBack_Here", "exceptions"),
        ("_Unwind_RaiseException", "exceptions"),
        ("__cxa_throw", "exceptions"),
        ("runtime.gopanic", "exceptions"),
        ("JVM_FillInStackTrace", "exceptions"),
        ("v8::internal::Isolate::CaptureSimpleStackTrace", "exceptions"),
        ("zend_fetch_debug_backtrace", "exceptions"),
        # Loggers, and writes to files.
        (f"StreamHandler.emit ({LIB}/logging/__init__.py:1100)", "logging"),
        ("AccessFormatter.formatMessage (/x/site-packages/uvicorn/logging.py:99)", "logging"),
        (f"SimpleHTTPRequestHandler.log_message ({LIB}/http/server.py:601)", "logging"),
        ("ngx_http_log_handler", "logging"),
        ("log.(*Logger).Output", "logging"),
        ("ch.qos.logback.core.FileAppender.append", "logging"),
        ("ext4_file_write_iter", "file_write"),
        ("generic_perform_write", "file_write"),
        ("pipe_write", "file_write"),
        # Others.
        ("tcp_sendmsg", "network"),
        ("__memmove_avx_unaligned_erms", "copy"),
        ("runtime.mallocgc", "allocation"),
        ("sqlite3VdbeExec", "database"),
        (f"extract_stack ({LIB}/asyncio/format_helpers.py:80)", "debugging"),
        ("[xdebug.so]", "debugging"),
        ("root (/app/templates/index.html:7)", "template"),
    ],
)
def test_names_of_real_runtimes(frame: str, kind: str) -> None:
    assert kind in kinds_of(frame)


@pytest.mark.parametrize(
    "frame",
    [
        "MainThread",
        "_PyEval_EvalFrameDefault",
        "PyErr_Occurred",
        "main (/srv/app.py:10)",
        "handle (/srv/logger_app/json_api.py:3)",
        "ngx_http_process_request",
        "runtime.mcall",
        "v8::internal::Builtin_HandleApiCall",
        "net/http.(*conn).serve",
        "[unknown]",
        "[libc.so.6]",
        "JavaCalls::call_helper",
        "zend_execute",
        "do_syscall_64",
    ],
)
def test_ordinary_frames_are_of_no_kind(frame: str) -> None:
    assert not kinds_of(frame) - {"waiting", "http_parsing"}


def test_a_socket_is_no_file() -> None:
    for frame in ("sock_write_iter", "tcp_write_xmit", "vfs_write", "new_sync_write"):
        assert "file_write" not in kinds_of(frame)


@pytest.mark.parametrize(
    ("name", "collects"),
    [
        ("GC Thread#0", True),
        ("G1 Conc#0", True),
        ("VM Thread", True),
        (".NET Server GC", True),
        ("ZWorker#1", True),
        ("C2 CompilerThre", False),
        ("HTTP-Dispatcher", False),
        ("V8Worker", False),
        ("node", False),
    ],
)
def test_threads_that_only_collect(name: str, collects: bool) -> None:
    assert is_of_thread(name, "gc") is collects
    assert not is_of_thread(name, "compression")


def test_every_table_is_made_of_patterns() -> None:
    count = 0
    for file in resources.files(TABLES).iterdir():
        if not file.name.endswith(".toml"):
            continue
        for kind, table in tomllib.loads(file.read_text(encoding="utf-8")).items():
            assert set(table) <= {"frames", "threads"}, f"{file.name}: {kind}"
            for pattern in (*table.get("frames", ()), *table.get("threads", ())):
                assert not re.compile(pattern).search(""), f"{pattern!r} fits everything"
                count += 1
    assert count > 200
    assert {"gc", "logging", "compression"} <= set(tables())
    assert set(thread_tables()) == {"gc"}


# -- shares -------------------------------------------------------------------------------------


def profile(stacks: dict[str, int], profiler: str = "perf", pid: int = 5001) -> Profile:
    rows = tuple((tuple(key.split(";")), count) for key, count in stacks.items())
    note = ProfileNote(profiler, pid, "cpython", 99, sum(stacks.values()), 0, f"{profiler}.folded")
    return Profile(note, rows)


def test_a_share_is_of_stacks_and_not_of_frames() -> None:
    seen = work(
        make_run(
            profiles=[
                profile(
                    {
                        "srv;handle;deflate;deflate_slow;longest_match": 30,
                        "srv;handle;deflate": 10,
                        "srv;handle": 60,
                    }
                )
            ]
        )
    )
    assert seen is not None
    assert seen.share("compression") == pytest.approx(0.4)
    assert seen.share("gc") == 0.0
    assert seen.share("gc", "compression") == pytest.approx(0.4)
    share = seen.largest("gc", "compression")
    assert share is not None
    assert (share.frame, share.caller, share.source) == ("deflate", "handle", "profiles/perf-*")
    assert seen.largest("gc") is None
    assert seen.names == {"perf": 1.0}


def test_the_thread_is_no_caller() -> None:
    seen = work(make_run(profiles=[profile({"srv;deflate_slow": 100})]))
    assert seen is not None
    assert seen.shares["compression"].caller == ""


def test_processes_are_weighed_by_their_samples() -> None:
    seen = work(
        make_run(
            profiles=[
                profile({"a;deflate": 90, "a;b": 10}, pid=1),
                profile({"a;b": 300}, pid=2),
            ]
        )
    )
    assert seen is not None
    assert seen.share("compression") == pytest.approx(90 / 400)


def test_of_two_profilers_the_one_that_sees_more_counts() -> None:
    python = f"t;handle (/a.py:3);dumps ({LIB}/json/__init__.py:231)"
    seen = work(
        make_run(
            profiles=[
                profile({python: 50, "t;handle (/a.py:9)": 50}, "py_spy"),
                profile({"srv;encoder_listencode_obj": 20, "srv;[python3.11]": 80}),
            ]
        )
    )
    assert seen is not None
    assert seen.share("serialization") == pytest.approx(0.5)
    assert seen.shares["serialization"].caller == "handle (/a.py:3)"
    assert seen.names == {"perf": pytest.approx(0.2), "py_spy": 1.0}
    assert (seen.named, seen.native) == (1.0, pytest.approx(0.2))


def test_samples_without_a_name_are_told() -> None:
    seen = work(make_run(profiles=[profile({"srv;[server]": 75, "srv;main": 25})]))
    assert seen is not None
    assert seen.named == pytest.approx(0.25)


@pytest.mark.parametrize(("samples", "known"), [(MIN_SAMPLES - 1, False), (MIN_SAMPLES, True)])
def test_few_samples_are_no_share(samples: int, known: bool) -> None:
    assert (work(make_run(profiles=[profile({"a;deflate": samples})])) is not None) is known


def test_no_profile_is_no_work() -> None:
    assert work(make_run()) is None


@pytest.mark.parametrize(
    ("frame", "shown"),
    [
        ("dumps (/usr/lib/python3.11/json/__init__.py:231)", "dumps (json/__init__.py:231)"),
        ("main (app.py:3)", "main (app.py:3)"),
        ("deflate_slow", "deflate_slow"),
    ],
)
def test_a_frame_in_a_sentence(frame: str, shown: str) -> None:
    assert short(frame) == shown
