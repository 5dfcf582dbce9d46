"""Geometry, hull, matching and figures: pure functions for a notebook."""
