from .electronic import plot_electronic as plot_electronic
from .formation import plot_formation_energies as plot_formation_energies
from .hull import plot_hull as plot_hull
from .parity import plot_parity as plot_parity
from .phonons import plot_phonon_series as plot_phonon_series
from .phonons import plot_phonons as plot_phonons
from .training import plot_generator_losses as plot_generator_losses
from .training import plot_training as plot_training
