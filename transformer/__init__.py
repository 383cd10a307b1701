"""A transformer library to learn from: raw tensor operations, typed to the last tensor."""
