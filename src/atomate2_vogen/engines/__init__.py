"""Levels of theory: atomate2 Makers, their energy scheme and reference phases."""
