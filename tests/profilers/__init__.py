"""Tests of diagnose.profilers."""
