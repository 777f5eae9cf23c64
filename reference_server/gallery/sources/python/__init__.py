"""The contract's endpoints for servers that run a Python application."""
