"""Tests of diagnose; they mirror its packages."""
