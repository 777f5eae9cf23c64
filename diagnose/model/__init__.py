"""Frozen data without I/O: what is sent, what was measured, what was concluded."""
