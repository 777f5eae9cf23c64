"""Interventions that confirm or refute a cause. No experiment is built yet."""
