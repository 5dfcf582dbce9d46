from .harmonic import force_constant_drift as force_constant_drift
from .harmonic import phonon_bands as phonon_bands
from .harmonic import phonon_dos as phonon_dos
from .harmonic import phonopy_from_document as phonopy_from_document
from .harmonic import summarise_phonons as summarise_phonons
from .modes import softest_mode as softest_mode
