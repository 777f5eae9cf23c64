"""Tests of diagnose.recorder."""
