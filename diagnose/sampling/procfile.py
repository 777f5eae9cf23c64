"""Files of /proc that are read again and again through one kept descriptor."""

from __future__ import annotations

import os


class ProcFile:
    """A /proc file. Reading through a kept descriptor costs a third of opening it each time.

    size: a first guess at its length. It is doubled when the file turns out longer; much more than
    the file has costs more to allocate than to read.
    """

    __slots__ = ("_fd", "_path", "_size")

    def __init__(self, path: str, size: int = 2048) -> None:
        self._path = path
        self._size = size
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> bytes:
        """The content as it is now.

        Raises: OSError (ESRCH) when the process or thread is gone.
        """
        data = os.pread(self._fd, self._size, 0)
        while len(data) >= self._size:
            self._size *= 2
            data = os.pread(self._fd, self._size, 0)
        return data

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)
