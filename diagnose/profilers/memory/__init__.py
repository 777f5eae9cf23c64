"""What holds a server's memory: profilers of a second launch, one module each.

A module has RUNTIMES, `available()` ('' or the remedy) and a class `Profiler`, made with a folder
of its own: `wrapped(command, environment)` is what to launch instead (ValueError with the reason
where that cannot be), `collect()` what it saw, when the server is gone. A `Held` without stacks
says what to do.
"""
