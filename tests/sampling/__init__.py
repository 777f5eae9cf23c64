"""Tests of diagnose.sampling."""
