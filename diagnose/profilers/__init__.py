"""Profilers: one module each. A module has RUNTIMES, RATE_HZ, `available`, `command` and `collect`;
with BESIDE it is also used for these runtimes, beside the profiler that is made for them.

`available() -> str`: '' when it can be run, else the remedy. `command(pid, runtime, seconds, out)`:
the arguments of a process that profiles a PID for so long. `collect(out, said)`: what came of it.
`plan(threads, together, seconds) -> Plan`, where there is one: the rate and options for a process
with these threads, and so many of all processes that it profiles at the same time; `command` then
has it as `plan`.
REMARKS, where there are some: by runtime, what it does not see there.
"""
