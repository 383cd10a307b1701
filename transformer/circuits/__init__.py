"""Circuits: what heads read and write, as matrices, scores and shares of a logit.

Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, and Olsson et al. 2022,
In-context Learning and Induction Heads. Vectors are rows here, x W; the papers' are columns.
"""
