"""Networks and their presets: VAEs, energy CNN, conditional WGAN, on any Keras 3 backend.

Modules in here import Keras, and with it the backend, at their top; nobody else imports them
at the top of a module, so that the package itself stays quick to import.
"""
