"""Thin jobflow jobs around the science below."""
