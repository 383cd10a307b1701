"""Training: `step.py` is one update, `loop.py` the visible `for` around it."""
