"""Networks and their presets: VAEs, energy CNN, conditional WGAN, on any Keras 3 backend.

Other packages import these modules inside of functions: Keras and its backend take seconds.
"""
