from .electronic import electronic_structure as electronic_structure
from .kpath import KPath as KPath
from .kpath import high_symmetry_path as high_symmetry_path
