"""Flows that compose jobs."""
