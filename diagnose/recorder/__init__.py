"""The only concurrent room: one loop over the pipes of the processes that a run consists of."""

from diagnose.recorder.options import Live, Observer, RunOptions
from diagnose.recorder.recording import record

__all__ = ["Live", "Observer", "RunOptions", "record"]
