"""One test module a rule: found, clear and unknown, with both sides of every threshold."""
