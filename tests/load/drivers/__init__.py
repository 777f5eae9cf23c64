"""Tests of diagnose.load.drivers."""
