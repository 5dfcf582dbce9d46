"""New crystals within an energy above the hull, against the CPU-hours of all that they cost.

``run.py`` measures samplers ("arms") round by round and keeps raw rows; ``report.py`` makes one
figure and one table of them; ``refind.py`` counts how many real phases a sampler finds again.
"""
