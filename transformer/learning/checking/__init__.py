"""Running the experiments and the tests on an implementation, and saying what came of it."""
