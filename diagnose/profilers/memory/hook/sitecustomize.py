"""Tracks the memory of every Python process of a profiled server, by memray.

Python imports a module of this name when it starts, where this folder is on PYTHONPATH: that
reaches forked and spawned workers alike, whatever starts the server. It must never keep the server
from starting: what goes wrong is written beside the results.
"""

import atexit
import importlib
import os
import sys


def _track(into: str, ours: str) -> None:
    try:
        import memray
    except ImportError:
        # The server's environment has none: ours, where it was made for this interpreter.
        sys.path.append(ours)
        try:
            import memray
        finally:
            sys.path.remove(ours)
    tracker = memray.Tracker(os.path.join(into, f"{os.getpid()}.bin"), follow_fork=True)
    tracker.__enter__()
    # A process that is killed leaves a file that can be read as well.
    atexit.register(tracker.__exit__, None, None, None)


def _pass_on() -> None:
    """Let the environment's own module of this name do its work."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [place for place in sys.path if os.path.abspath(place) != here]
    mine = sys.modules.pop("sitecustomize", None)
    try:
        importlib.import_module("sitecustomize")
    except ModuleNotFoundError as error:
        if error.name != "sitecustomize":
            raise
        if mine is not None:
            sys.modules["sitecustomize"] = mine


def _start() -> None:
    into = os.environ.get("DIAGNOSE_MEMRAY_INTO", "")
    if not os.path.isdir(into):
        return
    try:
        _track(into, os.environ.get("DIAGNOSE_MEMRAY_FROM", ""))
    except Exception as error:
        with open(os.path.join(into, f"{os.getpid()}.error"), "w", encoding="utf-8") as file:
            version = ".".join(map(str, sys.version_info[:2]))
            file.write(f"{type(error).__name__} in Python {version}: {error}")


if __name__ == "sitecustomize":
    _start()
    _pass_on()
