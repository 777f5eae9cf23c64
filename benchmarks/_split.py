"""Servers whose CPU time is known: 60, 30 and 10 % of it in three functions, in many runtimes.

The functions take CPU time by the clock (8.4, 4.2 and 1.4 ms a request, times a random factor that
is the same for all three, so that no profiler's rate can be in step with it): the split is true
whatever the machine does. The rest is the server's work for a request, some tenths of a
millisecond.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parent / "split"
PORT = "$PORT"
# Function -> its share of the three.
SPLIT = {"burn_sixty": 0.6, "burn_thirty": 0.3, "burn_ten": 0.1}


@dataclass(frozen=True, slots=True)
class Server:
    """One of them. `{home}` in a command is the folder where it was built, `{sources}` that of the
    sources.

    needs: programs on PATH; modules: of Python. runtime: what diagnose takes it for.
    """

    name: str
    runtime: str
    command: tuple[str, ...]
    build: tuple[tuple[str, ...], ...] = ()
    needs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    def missing(self) -> str:
        """What is not installed; '' when all is there."""
        programs = [name for name in self.needs if shutil.which(name) is None]
        modules = [name for name in self.modules if importlib.util.find_spec(name) is None]
        return ", ".join([*programs, *modules])

    def built(self, home: Path) -> list[str]:
        """The command, after everything that it needs was built.

        Raises: SystemExit when a compiler refuses.
        """
        places = {"home": str(home), "sources": str(SOURCES)}
        for step in self.build:
            words = [word.format(**places) for word in step]
            done = subprocess.run(words, cwd=home, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"cannot build {self.name}:\n{done.stderr}")
        return [word.format(**places) for word in self.command]


def _python(name: str, *command: str) -> Server:
    return Server(name, "cpython", (sys.executable, "-m", name, *command), modules=(name,))


SERVERS = (
    _python("uvicorn", "--app-dir", "{sources}", "--port", PORT, "--no-access-log", "app:asgi"),
    _python("gunicorn", "--chdir", "{sources}", "-b", f"127.0.0.1:{PORT}", "app:wsgi"),
    _python(
        *("granian", "--working-dir", "{sources}", "--interface", "rsgi", "--port", PORT),
        *("--workers", "1", "--no-access-log", "app:rsgi"),
    ),
    Server("node", "node", ("node", "{sources}/server.mjs", PORT), needs=("node",)),
    Server(
        "Go net/http",
        "go",
        ("{home}/split", PORT),
        (("go", "build", "-o", "{home}/split", "{sources}/split.go"),),
        ("go",),
    ),
    Server(
        "JDK HttpServer",
        "jvm",
        ("java", "-Dsun.net.httpserver.nodelay=true", "-cp", "{home}", "Split", PORT),
        (("javac", "-d", "{home}", "{sources}/Split.java"),),
        ("java", "javac"),
    ),
    Server(
        "OCaml",
        "ocaml",
        ("{home}/split", PORT),
        (
            ("cp", "{sources}/split.ml", "{home}/split.ml"),
            (
                *("ocamlfind", "ocamlopt", "-g", "-package", "unix", "-linkpkg"),
                *("-o", "{home}/split", "split.ml"),
            ),
        ),
        ("ocamlfind", "ocamlopt"),
    ),
    Server(
        "C, -O2",
        "native",
        ("{home}/split", PORT),
        (("cc", "-O2", "-o", "{home}/split", "{sources}/split.c"),),
        ("cc",),
    ),
    Server("Ruby", "ruby", ("ruby", "{sources}/split.rb", PORT), needs=("ruby",)),
    Server(
        "PHP",
        "php",
        ("php", "-q", "-S", f"127.0.0.1:{PORT}", "{sources}/split.php"),
        needs=("php",),
    ),
)
