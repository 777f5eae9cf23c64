"""Interventions: what they change, what a cause predicts of it, what was seen.

An experiment is one module here, found by its file name. It has

- TITLE: what it does, in words;
- DECIDES: by the id of a cause, what confirms it (the prediction) in words;
- REPEATS: how often each leg is run;
- ALONE: those of the causes that it shows without the first run suspecting them (may be left out);
- legs(base, suspects): its legs for these causes, or why it cannot be done here (a sentence);
- judge(base, seen, suspect): what its runs say of one suspected cause. It is pure: it sees runs,
  and no process, socket or clock.

Any other cause is confirmed only when the first run suspects it: an experiment shows that the
server behaves as the cause predicts, the first run that nothing else was seen that does that.
"""
