from .project import BuildSummary as BuildSummary
from .project import build_stability as build_stability
from .stability import StabilityBuilder as StabilityBuilder
