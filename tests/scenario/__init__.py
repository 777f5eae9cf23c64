"""Tests of diagnose.scenario."""
