"""The healthy HttpArena entry in Python, and the same entry with one fault at a time."""
