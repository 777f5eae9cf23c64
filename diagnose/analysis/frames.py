"""Stack frames as text: function, file, line, and whether they are the application's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_FRAME = re.compile(r"^(.+) \((.+?)(?::(\d+))?\)$")
# Standard libraries and installed packages; frozen modules of the import system.
_LIBRARY = re.compile(
    r"/lib(?:64|32)?/(?:python3|pypy3)|/(?:site|dist)-packages/|^<|/importlib/|memray|"
    r"node_modules/|^node:|^internal/"
)
_LIBRARY_FUNCTION = re.compile(r"^(?:java|javax|jdk|sun|com\.sun)\.")
_STANDARD = re.compile(r"/lib(?:64|32)?/(?:python3|pypy3)[^/]*/(?!site-packages|dist-packages)|^<")


@dataclass(frozen=True, slots=True)
class Frame:
    """`upload (/srv/app.py:28)`, taken apart. line: 0 where it is not told."""

    function: str
    file: str
    line: int

    @property
    def short(self) -> str:
        """`upload (app.py:28)`."""
        name = self.file.rpartition("/")[2]
        return f"{self.function} ({name}:{self.line})" if self.line else self.function

    @property
    def standard(self) -> bool:
        """Of the language's own library."""
        return bool(_STANDARD.search(self.file) or _LIBRARY_FUNCTION.match(self.function))

    @property
    def own(self) -> bool:
        """Of the application: a file that is told and is no library's."""
        library = _LIBRARY.search(self.file) or _LIBRARY_FUNCTION.match(self.function)
        return bool(self.file) and self.line > 0 and not library


def frame(text: str) -> Frame:
    """A frame from its text; a bare symbol has no file."""
    match = _FRAME.match(text)
    if match is None:
        return Frame(text, "", 0)
    return Frame(match[1], match[2], int(match[3] or 0))


# Where a program starts its server: what happens in the server's calls is not their doing.
_ENTRIES = ("<module>", "main", "_run_module_code", "_run_code")


def blamed(stack: Sequence[str]) -> Frame | None:
    """The innermost frame of the application; without one that of an installed package; else None.

    stack: frames, outermost first. The function that starts a server is blamed only for what it
    does itself.
    """
    frames = [frame(text) for text in reversed(stack)]
    for depth, one in enumerate(frames):
        if one.own and (depth == 0 or one.function not in _ENTRIES):
            return one
    for one in frames:
        if one.line and not one.standard and one.function not in _ENTRIES:
            return one
    return None
