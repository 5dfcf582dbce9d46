"""A fast potential learnt from an energy model: it finds where minima are, and judges none.

Other packages import these modules inside of functions: TensorFlow takes seconds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
