"""Scenario files: TOML in, `Scenario` out."""
