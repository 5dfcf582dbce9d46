from .base import RefusedError as RefusedError
from .base import Sampler as Sampler
from .filtered import FilteredSampler as FilteredSampler
from .loading import SAMPLERS as SAMPLERS
from .loading import load_sampler as load_sampler
from .random_symmetric import RandomSampler as RandomSampler
from .substitution import SubstitutionSampler as SubstitutionSampler
from .wgan import WGANSampler as WGANSampler
