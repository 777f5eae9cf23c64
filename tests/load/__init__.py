"""Tests of diagnose.load."""
