"""Tests of diagnose.server."""
