"""Profilers: one module each. A module has RUNTIMES, `available`, `command` and `collect`; with
BESIDE it is also used for these runtimes, beside the profiler that is made for them.

`available() -> str`: '' when it can be run, else the remedy. `command(pid, seconds, out)`: the
arguments of a process that profiles a PID for so long. `collect(out, said)`: what came of it.
"""
