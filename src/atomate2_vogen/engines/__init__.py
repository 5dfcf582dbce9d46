"""Engines: one object per level of theory with its relax, static and phonon Makers.

>>> from atomate2_vogen import engines
>>> engine = engines.chgnet()  # doctest: +SKIP
>>> engine = engines.load_engine("vasp", k_path="hinuma")  # doctest: +SKIP

Importing this package imports neither torch nor atomate2; making an engine does, and so does
asking for a Maker.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
