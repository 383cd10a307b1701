"""The parts of a transformer, one idea a file, made of raw tensor operations.

Each file holds an equation as a pure, typed function and a thin Module that owns the
parameters. Nothing here reads a config, a file or the network.
"""
