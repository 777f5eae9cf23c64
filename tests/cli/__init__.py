"""Tests of diagnose.cli."""
