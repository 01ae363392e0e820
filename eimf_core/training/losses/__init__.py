"""Losses: each a pure function of tensors in a file of its own, with its formula and where it comes from."""
