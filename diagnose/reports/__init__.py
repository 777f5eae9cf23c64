"""Reports: one module a form. Pure: a run with its findings in, text and pictures out."""
