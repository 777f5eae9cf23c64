"""A toolkit that says why an HTTP server is slow, and proves it."""

__version__ = "0.1.0"
