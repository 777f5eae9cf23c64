"""Tests of diagnose.reports."""
