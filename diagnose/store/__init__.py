"""The run directory: the truth of a run. The only room that knows its layout."""
