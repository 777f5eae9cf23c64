"""Which runtime a process is, from its name, its libraries, and its bytes."""

from __future__ import annotations

import pytest

from diagnose.server.runtime import classify

CPYTHON_MAPS = b"7f00 r-xp 00000000 fe:00 1 /usr/lib/x86_64-linux-gnu/libpython3.12.so.1.0\n"
LIBC_MAPS = b"7f00 r-xp 00000000 fe:00 1 /usr/lib/x86_64-linux-gnu/libc.so.6\n"
GO = b"\x7fELF...\xff Go buildinf:\x08\x02"
RUST = b"\x7fELF.../rustc/9fc6b43126469e3858e2fe86cafb4f0fd5068869/library/std"
OCAML = b"\x7fELF...caml_startup\0caml_main"

CASES = {
    "python": ("/usr/bin/python", b"", b"", "cpython"),
    "python3": ("/usr/bin/python3", b"", b"", "cpython"),
    "python3.12": ("/opt/venv/bin/python3.12", b"", b"", "cpython"),
    "python_without_a_directory": ("python3.11", b"", b"", "cpython"),
    "python_free_threaded": ("/usr/bin/python3.13t", LIBC_MAPS, b"", "cpython"),
    "python_free_threaded_debug": ("/usr/local/bin/python3.13td", LIBC_MAPS, b"", "cpython"),
    "python_debug": ("/usr/local/bin/python3.13d", LIBC_MAPS, b"", "cpython"),
    "python_debug_of_debian": ("/usr/bin/python3-dbg", LIBC_MAPS, b"", "cpython"),
    "python_free_threaded_debug_library": (
        "/usr/bin/app",
        CPYTHON_MAPS.replace(b"3.12", b"3.13td"),
        b"",
        "cpython",
    ),
    "python_embedded": ("/usr/sbin/uwsgi", CPYTHON_MAPS, b"", "cpython"),
    "python_embedded_in_rust": ("/usr/bin/app", CPYTHON_MAPS, RUST, "cpython"),
    "python_running_rust": ("/usr/bin/python3.12", LIBC_MAPS, RUST, "cpython"),
    "pythonista": ("/usr/bin/pythonista", LIBC_MAPS, b"", "native"),
    "python-config": ("/usr/bin/python3-config", LIBC_MAPS, b"", "native"),
    "node": ("/usr/bin/node", b"", b"", "node"),
    "nodejs": ("/usr/bin/nodejs", b"", b"", "node"),
    "node_by_library": ("/usr/bin/app", b"/usr/lib/libnode.so.109", b"", "node"),
    "node_exporter": ("/usr/bin/node_exporter", LIBC_MAPS, GO, "go"),
    "bun": ("/root/.bun/bin/bun", b"", b"", "bun"),
    "deno": ("/usr/bin/deno", LIBC_MAPS, RUST, "deno"),
    "java": ("/usr/lib/jvm/bin/java", b"", b"", "jvm"),
    "jvm_by_library": ("/app/launcher", b"x /usr/lib/jvm/server/libjvm.so\n", b"", "jvm"),
    "php": ("/usr/bin/php", b"", b"", "php"),
    "php8.3": ("/usr/bin/php8.3", b"", b"", "php"),
    "php-fpm8.2": ("/usr/sbin/php-fpm8.2", b"", b"", "php"),
    "php-cgi": ("/usr/bin/php-cgi", b"", b"", "php"),
    "ruby": ("/usr/bin/ruby", b"", b"", "ruby"),
    "ruby3.1": ("/usr/bin/ruby3.1", b"", b"", "ruby"),
    "ruby_by_library": ("/app/puma", b"/usr/lib/libruby-3.1.so.3.1.2", b"", "ruby"),
    "erlang": ("/usr/lib/erlang/erts/bin/beam.smp", b"", b"", "erlang"),
    "nginx": ("/usr/sbin/nginx", b"", b"", "nginx"),
    "dotnet": ("/app/server", b"/usr/share/dotnet/libcoreclr.so", b"", "dotnet"),
    "go": ("/app/server", LIBC_MAPS, GO, "go"),
    "rust": ("/app/server", LIBC_MAPS, RUST, "rust"),
    "ocaml": ("/app/vif.exe", LIBC_MAPS, OCAML, "ocaml"),
    "c": ("/app/server", LIBC_MAPS, b"\x7fELF...gcc", "native"),
    "nothing_known": ("", b"", b"", "native"),
    "library_of_a_similar_name": ("/app/s", b"/usr/lib/mylibjvm.so", b"", "native"),
    "go_mark_cut_off": ("/app/s", b"", GO[:15], "native"),
    "python2": ("/app/s", b"/usr/lib/libpython2.7.so.1.0", b"", "native"),
}


@pytest.mark.parametrize(
    ("executable", "maps", "content", "runtime"), CASES.values(), ids=CASES.keys()
)
def test_classify(executable: str, maps: bytes, content: bytes, runtime: str) -> None:
    assert classify(executable, maps, content) == runtime
