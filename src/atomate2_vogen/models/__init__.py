"""Networks and their training (Keras 3)."""
