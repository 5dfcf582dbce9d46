"""Inverse design of binary oxides as atomate2 and jobflow workflows.

spglib writes a line to stderr for every tolerance that it gives up at; its results and errors
tell the same, so these lines are switched off. ``SPGLIB_WARNING=ON`` in the environment keeps
them.
"""

import os
from importlib.metadata import version

__version__ = version("atomate2-vogen")

# read by spglib's C library whenever it is about to write; only OFF silences it
os.environ.setdefault("SPGLIB_WARNING", "OFF")
