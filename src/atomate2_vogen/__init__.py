"""Inverse design of binary oxides as atomate2 and jobflow workflows."""

from importlib.metadata import version

__version__ = version("atomate2-vogen")
