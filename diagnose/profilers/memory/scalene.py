"""CPython by scalene: which lines allocate, copy and take CPU time, in the server's first process.

scalene runs the program itself, so the command is rewritten: a script, a module (`-m`) by a script
that runs it, or a console script. It forks the program below itself and profiles that process, not
workers that it starts; objects are charged to the line that allocated them, in the files below the
program's folder. It slows a server down by half: no figure of speed comes from its run.
Source: scalene 2.4, `scalene run --help-advanced`, and the JSON that it writes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diagnose.profilers.memory._held import Held, Wrapped, folded

RUNTIMES = ("cpython",)
OUT = "scalene.json"
STUB = "module.py"
MIB = 2**20
ASK_TIMEOUT_S = 20.0
# Options of the interpreter that take no further word.
_FLAGS = tuple(f"-{letter}" for letter in "BbdEIiOPqRsSuvx")


def available() -> str:
    """'' : it is a part of diagnose; whether the server's environment has it is seen later."""
    return ""


class Unwrappable(ValueError):
    """Why a command cannot be run by scalene, in words."""


class Profiler:
    """scalene around the server's command; its file is below `scratch`."""

    def __init__(self, scratch: Path) -> None:
        self._into = scratch
        # A console script holds nothing but a call: what its line is charged with is all that the
        # packages below it do.
        self._launcher = ""

    def wrapped(self, command: Sequence[str], environment: Mapping[str, str]) -> Wrapped:
        """The command below scalene.

        Raises: Unwrappable when it is none that Python runs, or scalene is not beside it.
        """
        python, script, arguments = self._taken_apart(list(command))
        self._need_scalene(python)
        folder = Path(script).resolve().parent
        inside = folder.name in ("bin", "Scripts") or folder == self._into.resolve()
        program = Path.cwd() if inside else folder
        self._launcher = script if inside else ""
        words = [python, "-m", "scalene", "run", "-o", str(self._into / OUT)]
        words += ["--program-path", str(program), script, "---", *arguments]
        return Wrapped(tuple(words), dict(environment))

    def _taken_apart(self, command: list[str]) -> tuple[str, str, list[str]]:
        """The interpreter, the script that it runs, and the script's arguments."""
        program = shutil.which(command[0]) or command[0]
        if "python" not in Path(program).name:
            return _interpreter_of(program), program, command[1:]
        words = command[1:]
        while words and words[0] in _FLAGS:
            words.pop(0)
        if words and words[0] == "-m" and len(words) > 1:
            stub = self._into / STUB
            stub.write_text(
                "import runpy, sys\n"
                f"sys.argv[0] = {words[1]!r}\n"
                f"runpy.run_module({words[1]!r}, run_name='__main__', alter_sys=True)\n"
            )
            return program, str(stub), words[2:]
        if not words or words[0].startswith("-"):
            raise Unwrappable(
                f"scalene runs a script or a module, and this is neither: {' '.join(command)[:120]}"
            )
        return program, words[0], words[1:]

    def _need_scalene(self, python: str) -> None:
        try:
            done = subprocess.run(
                [python, "-c", "import scalene"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=ASK_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unwrappable(f"{python} could not be asked for scalene: {error}") from None
        if done.returncode != 0:
            raise Unwrappable(
                f"scalene is not installed beside the server: {python} -m pip install scalene"
            )

    def collect(self) -> list[Held]:
        """What the lines of the profiled process allocated."""
        path = self._into / OUT
        try:
            document: dict[str, Any] = json.loads(path.read_bytes())
        except FileNotFoundError:
            remedy = "scalene wrote no profile: the server did not end within its grace"
            return [Held(-1, "", 0, remedy)]
        except (OSError, ValueError) as error:
            return [Held(-1, "", 0, f"scalene's profile could not be read: {error}")]
        weights = lines(document, self._launcher)
        if not weights:
            remedy = (
                "scalene saw no allocation in the program's own files: is the work done in another "
                "process or in a package? memray sees all of them (--memory-profile memray)"
            )
            return [Held(-1, "", 0, remedy, path.read_text(errors="replace"))]
        raw = path.read_text(encoding="utf-8", errors="replace")
        return [Held(0, folded(weights), len(weights), raw=raw)]


def lines(document: Mapping[str, Any], without: str = "") -> dict[tuple[str, ...], int]:
    """Bytes that were allocated, by line: `function (file:line)`; `without` one file."""
    found: dict[tuple[str, ...], int] = {}
    for path, file in document.get("files", {}).items():
        if path == without:
            continue
        functions = sorted(
            (int(each["lineno"]), str(each["line"])) for each in file.get("functions", ())
        )
        for line in file.get("lines", ()):
            size = round(float(line.get("n_malloc_mb") or 0.0) * MIB)
            if size > 0:
                number = int(line["lineno"])
                above = [name for start, name in functions if start <= number]
                name = above[-1] if above else "<module>"
                key = ("process", f"{name} ({path}:{number})")
                found[key] = found.get(key, 0) + size
    return found


def _interpreter_of(program: str) -> str:
    """The interpreter that a console script names in its first line.

    Raises: Unwrappable when it is no script of Python.
    """
    try:
        with open(program, "rb") as file:
            first = file.readline(512).decode(errors="replace").strip()
            second = file.readline(512).decode(errors="replace")
    except OSError as error:
        raise Unwrappable(f"{program} could not be read: {error.strerror}") from None
    if not first.startswith("#!"):
        raise Unwrappable(f"scalene runs Python programs, and {program} is none")
    words = first[2:].split()
    if words and Path(words[0]).name == "env":
        words = words[1:]
    # Where the path is long, pip writes `#!/bin/sh` and `'''exec' PYTHON "$0" "$@"`.
    if words and Path(words[0]).name == "sh" and "exec" in second:
        words = [part for part in second.replace('"', " ").split() if "python" in part]
    if not words or "python" not in Path(words[0]).name:
        raise Unwrappable(f"scalene runs Python programs, and {program} is none")
    return shutil.which(words[0]) or words[0]
