"""Prototypes, substitution and the labelled data set."""
