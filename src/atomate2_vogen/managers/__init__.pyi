from .local import Event as Event
from .local import Failure as Failure
from .local import FlowResult as FlowResult
from .local import run_parallel as run_parallel
