"""Training mixtures: what samples are made of, by weight."""
