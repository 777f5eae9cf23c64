"""Tests of diagnose.store."""
