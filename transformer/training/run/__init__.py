"""A whole run, from its configuration to a trained model or to what ended it."""
