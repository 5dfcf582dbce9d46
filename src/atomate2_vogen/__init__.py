"""Inverse design of binary oxides as atomate2 and jobflow workflows.

>>> from atomate2_vogen import DiscoveryFlowMaker, VogenStores, load_engine

These are the names with which most scripts begin; each package below has more. A name is imported
at its first use, so that ``import atomate2_vogen`` costs nothing; ``__init__.pyi`` of a package
says where its names are from.

spglib writes a line to stderr for every tolerance that it gives up at; its results and errors
say the same, so these lines are switched off. ``SPGLIB_WARNING=ON`` in the environment keeps
them.
"""

import os
from importlib.metadata import version

import lazy_loader

__version__ = version("atomate2-vogen")

# read by spglib's C library whenever it is about to write; only OFF silences it
os.environ.setdefault("SPGLIB_WARNING", "OFF")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
