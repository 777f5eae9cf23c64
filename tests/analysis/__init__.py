"""Tests of diagnose.analysis."""
