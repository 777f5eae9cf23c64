"""Profilers: one module each. A module has RUNTIMES, RATE_HZ, `available`, `command` and `collect`;
with BESIDE it is also used for these runtimes, beside the profiler that is made for them.

`available() -> str`: '' when it can be run, else the remedy. `command(pid, runtime, seconds, out)`:
the arguments of a process that profiles a PID for so long. `collect(out, said)`: what came of it.
`rate(threads, seconds) -> Rate`, where there is one: the rate for so many threads, of all processes
that it profiles at the same time; `command` then has it as `rate_hz`.
REMARKS, where there are some: by runtime, what it does not see there.
"""
