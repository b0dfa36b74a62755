"""Ablations: variants of one run from one start, for the same time, with several seeds, and the tables of them."""
