"""Every failure that a user can meet, each with the exit status that it ends the program with.

A message says what failed with the value, the likely cause, and the next thing to try. The
command line prints it once, without a traceback.
"""

from __future__ import annotations

from typing import ClassVar


class DiagnoseError(Exception):
    """The root of all errors of this package."""

    exit_code: ClassVar[int] = 2


class UsageError(DiagnoseError):
    """An argument, file or scenario is wrong; nothing was started."""

    exit_code = 2


class ServerFailed(DiagnoseError):
    """The server under test did not start, did not get ready, or died before it was measured."""

    exit_code = 3


class HostLimit(DiagnoseError):
    """This host cannot carry the load that was asked for."""

    exit_code = 2


class WorkerFailed(DiagnoseError):
    """A process of our own (load worker, sampler, warden) failed: the measurement is invalid."""

    exit_code = 4


class Interrupted(DiagnoseError):
    """The user (SIGINT) or the system (SIGTERM) ended the run."""

    exit_code = 130
