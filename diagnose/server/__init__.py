"""The server under test: launch, readiness, CPU sets, limits, runtime; and its end."""
