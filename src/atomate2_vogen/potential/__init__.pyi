from .frames import Frame as Frame
from .frames import Frames as Frames
from .network import NetworkShape as NetworkShape
from .potential import Potential as Potential
from .shipped import load_potential as load_potential
from .training import FitReport as FitReport
from .training import FitSettings as FitSettings
from .training import train_potential as train_potential
