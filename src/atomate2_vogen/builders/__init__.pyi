from .stability import StabilityBuilder as StabilityBuilder
