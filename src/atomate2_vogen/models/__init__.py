"""Networks: two VAEs, an energy CNN and a conditional WGAN, written for any Keras 3 backend.

Modules in here import Keras, and with it the backend, at their top; nobody else imports them
at the top of a module, so that the package itself stays quick to import.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
