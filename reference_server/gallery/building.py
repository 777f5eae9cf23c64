"""What has to be built before a server starts: once for the same sources, commands and compiler."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from reference_server.made_once import made_once

SOURCES = Path(__file__).with_name("sources")
# A first build of Go's standard library took 24 s on two cores.
BUILD_S = 300.0
# Characters of the digest in a directory's name.
DIGEST = 16


class BuildFailed(Exception):
    """A compiler refused, or is not there; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Files below sources/, and the commands that make a program of them.

    The files are copied side by side into a directory, in which the commands then run.
    """

    sources: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()

    def digest(self) -> str:
        """Stands for the content of the sources, the commands, and the compilers in use."""
        sha = hashlib.sha256()
        for name in self.sources:
            _add(sha, name.encode(), (SOURCES / name).read_bytes())
        for command in self.commands:
            _add(sha, *(os.fsencode(word) for word in command), _identity(command[0]))
        return sha.hexdigest()[:DIGEST]

    def built(self, directory: Path) -> Path:
        """The directory, below the given one, that holds sources and results.

        Raises: BuildFailed when a command fails; OSError when nothing can be written.
        """
        language = Path(self.sources[0]).parts[0]
        return made_once(directory / f"{language}-{self.digest()}", self._make).absolute()

    def _make(self, home: Path) -> None:
        home.mkdir()
        for name in self.sources:
            shutil.copy(SOURCES / name, home)
        for command in self.commands:
            _run(command, home)


NOTHING_TO_BUILD = Recipe()


def _add(sha: hashlib._Hash, *parts: bytes) -> None:
    for part in parts:
        # The length in front: "ab" "c" is not "a" "bc".
        sha.update(b"%d:" % len(part) + part)


def _identity(program: str) -> bytes:
    """Another one for each version that is installed: path, size and time of the program."""
    path = shutil.which(program)
    if path is None:
        return b""
    real = Path(path).resolve()
    about = real.stat()
    return os.fsencode(f"{real} {about.st_size} {about.st_mtime_ns}")


def _run(command: tuple[str, ...], home: Path) -> None:
    shown = " ".join(command)
    try:
        done = subprocess.run(
            command,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BUILD_S,
        )
    except FileNotFoundError as error:
        raise BuildFailed(f"cannot build with `{shown}`: {command[0]} is not on PATH") from error
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"`{shown}` was not over after {BUILD_S:.0f} s") from error
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip()
        raise BuildFailed(f"`{shown}` failed with status {done.returncode}:\n{said}")
