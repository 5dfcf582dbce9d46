"""Sources of candidates: WGAN, substitution, random crystals, search and evolution behind one call.

>>> from atomate2_vogen.samplers import load_sampler
>>> sample = load_sampler("substitution").sample({"VO2": 8}, seed=0)  # doctest: +SKIP
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
