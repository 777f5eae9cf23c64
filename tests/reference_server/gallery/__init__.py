"""The gallery's cases, without starting their servers."""
