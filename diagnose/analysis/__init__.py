"""Conclusions from a run: pure functions, no process, socket or clock."""
