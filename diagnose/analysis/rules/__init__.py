"""The rules: one question each, one module each. Their docstrings are their documentation."""
