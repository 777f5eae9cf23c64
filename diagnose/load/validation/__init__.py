"""What an entry of the benchmark is validated for: one module for each group of endpoints.

Source: the HttpArena benchmark, its endpoint table and its validation of entries, rounds of March
and April 2026.
"""
