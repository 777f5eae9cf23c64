"""The load profiles that ship with `diagnose`: one TOML file each (docs/scenarios.md)."""
