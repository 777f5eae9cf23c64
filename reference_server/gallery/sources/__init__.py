"""The sources of the gallery's servers, in the languages that they are written in."""
