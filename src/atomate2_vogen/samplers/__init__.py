"""Sources of candidates: WGAN, substitution and random search behind one call."""
