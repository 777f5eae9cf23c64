"""Mirrors diagnose/load/validation."""
