"""Where threads wait: kernel switches by perf, and stacks of waiting threads, looked at repeatedly.

`sched_switch` records for a second when each thread went to sleep, with its stack, and when it ran
again. A module that dumps stacks (`py_spy_dump`, `jcmd_threads`) has RUNTIMES, `available()`,
`command(pid)` and `parse(text)`: the threads of a process with their frames, outermost first.
"""
