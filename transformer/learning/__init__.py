"""The learner's kit: exercises, whose implementation is under test, and what is wrong with it."""
