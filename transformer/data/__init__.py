"""Texts, and the windows of tokens that training and evaluation read from them."""
