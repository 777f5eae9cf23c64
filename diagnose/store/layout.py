"""File names of a run directory. Everything but these is rebuilt from them."""

from __future__ import annotations

MANIFEST = "run.json"
SAMPLES = "samples.jsonl"
TICKS = "load.jsonl"
LOAD = "load.json"
LATENCY = "latency.hlog"
PROFILES = "profiles"
FINDINGS = "findings.json"
SERVER_LOG = "server.log"
