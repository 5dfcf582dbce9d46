"""Trained models, and the training of their networks on any Keras 3 backend.

Other packages import these modules inside of functions: Keras and its backend take seconds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
