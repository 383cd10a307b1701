"""Sampling: filters turn logits into logits, `generate` draws from them."""
