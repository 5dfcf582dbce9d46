"""A fast potential learnt from an energy model: where minima are, found a hundred times faster."""

from atomate2_vogen.potential.potential import Potential, load_potential

__all__ = ["Potential", "load_potential"]
