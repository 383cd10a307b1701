"""Weights that others published, read into our models; ours, written for others to read.

A family is one table: their tensor, our parameters, and how the axes are rearranged
(`mapping.py`). The same rows are read in both directions, so that what can be loaded can be
saved, and every tensor is accounted for.
"""
