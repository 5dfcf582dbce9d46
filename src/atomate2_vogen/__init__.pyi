from .builders.project import build_stability as build_stability
from .builders.stability import StabilityBuilder as StabilityBuilder
from .chemistry import TITANIUM as TITANIUM
from .chemistry import VANADIUM as VANADIUM
from .chemistry import OxideSystem as OxideSystem
from .engines import Engine as Engine
from .engines import load_engine as load_engine
from .engines import load_references as load_references
from .errors import VogenError as VogenError
from .flows.confirmation import ConfirmFlowMaker as ConfirmFlowMaker
from .flows.discovery import DiscoveryFlowMaker as DiscoveryFlowMaker
from .flows.electronic import ElectronicFlowMaker as ElectronicFlowMaker
from .flows.evaluation import EvaluateMaker as EvaluateMaker
from .flows.paper import PaperFlowMaker as PaperFlowMaker
from .flows.phonons import PhononFlowMaker as PhononFlowMaker
from .flows.references import ReferencesFlowMaker as ReferencesFlowMaker
from .flows.screening import ScreeningFlowMaker as ScreeningFlowMaker
from .report.writing import write_report as write_report
from .samplers.loading import load_sampler as load_sampler
from .settings import VogenSettings as VogenSettings
from .stores import CrystalFilter as CrystalFilter
from .stores import VogenStores as VogenStores

__version__: str
