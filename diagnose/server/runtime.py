"""What language runtime a process is: that decides which profiler can read it."""

from __future__ import annotations

import os
import re

_LIBRARIES = (
    ("jvm", re.compile(rb"/libjvm\.so")),
    ("cpython", re.compile(rb"/libpython3[.0-9]*[td]*\.so")),
    ("ruby", re.compile(rb"/libruby[-.0-9]*\.so")),
    ("dotnet", re.compile(rb"/libcoreclr\.so")),
    ("node", re.compile(rb"/libnode\.so")),
)
_NAMES = (
    ("cpython", re.compile(r"^python(\d(\.\d+)?)?(t?d?|-dbg)$")),
    ("node", re.compile(r"^(node|nodejs)$")),
    ("bun", re.compile(r"^bun$")),
    ("deno", re.compile(r"^deno$")),
    ("php", re.compile(r"^php(-fpm|-cgi)?\d*(\.\d+)?$")),
    ("ruby", re.compile(r"^ruby\d*(\.\d+)?$")),
    ("jvm", re.compile(r"^java$")),
    ("erlang", re.compile(r"^beam(\.smp)?$")),
    ("nginx", re.compile(r"^nginx$")),
)
_MARKS = (
    ("go", b"\xff Go buildinf:"),
    ("ocaml", b"caml_startup"),
    ("rust", b"rustc/"),
)
# Enough for the read-only data of ordinary servers; a mark beyond it is not worth the read.
SCAN_BYTES = 64 * 1024 * 1024


def classify(executable: str, maps: bytes, content: bytes) -> str:
    """The runtime from the executable's name, the mapped libraries and the executable's bytes.

    An interpreter's name wins: granian is Rust code inside CPython. `native` when nothing tells.
    """
    for runtime, pattern in _NAMES:
        if pattern.match(os.path.basename(executable)):
            return runtime
    for runtime, library in _LIBRARIES:
        if library.search(maps):
            return runtime
    for runtime, mark in _MARKS:
        if mark in content:
            return runtime
    return "native"


def detect(pid: int) -> str:
    """The runtime of a living process; `unknown` when it may not be looked at or is gone."""
    try:
        executable = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
        with open(f"/proc/{pid}/maps", "rb") as file:
            maps = file.read()
        known = classify(executable, maps, b"")
        if known != "native":
            return known
        with open(f"/proc/{pid}/exe", "rb") as file:
            return classify(executable, maps, file.read(SCAN_BYTES))
    except OSError:
        return "unknown"
