"""What kind of work a frame of a profile is: tables of names, one TOML file a runtime.

A table is `[category]` with `frames`, regular expressions that are searched in a frame as the
profilers write it: `function (file:line)` (py-spy), `symbol`, or `[library.so]` where that has no
symbols (perf); and `threads`, for runtimes whose helper threads have names of their own. All tables
are asked for every profile: Python calls C, and node runs V8.
"""
