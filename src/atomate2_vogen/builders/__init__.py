"""Maggma builders."""
