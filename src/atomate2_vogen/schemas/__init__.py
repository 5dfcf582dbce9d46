"""The documents: what jobs return, stores hold and people query.

Units are eV, Å, eV/Å and degrees; energies are per atom where the name says so. Every
document carries a deterministic key, the time of its last change, and the versions that
wrote it, so that a second run writes the same key and a reader knows what it holds.
"""

from __future__ import annotations

from atomate2_vogen.schemas.base import SCHEMA_VERSION, VogenDoc
from atomate2_vogen.schemas.calculations import (
    CalculationDoc,
    CalculationState,
    CharacterisationState,
    ReferenceDoc,
)
from atomate2_vogen.schemas.candidates import CandidateDoc, Rejection, RejectionReason, SampleDoc
from atomate2_vogen.schemas.consensus import (
    ConsensusDoc,
    EnergyModel,
    Opinion,
    ReferenceLevel,
    Verdict,
)
from atomate2_vogen.schemas.dft import DftDoc, DftEnergy, ModelAgreement, ModelHeight
from atomate2_vogen.schemas.discovery import DiscoveryDoc
from atomate2_vogen.schemas.electronic import (
    BandEdge,
    ChannelState,
    ElectronicCharacter,
    ElectronicDoc,
    ElectronicStructure,
    SpinChannel,
)
from atomate2_vogen.schemas.jobs import JobLink
from atomate2_vogen.schemas.known import KnownDoc
from atomate2_vogen.schemas.loop import Learning, LearntDoc, LoopDoc, RoundDoc
from atomate2_vogen.schemas.magnetism import MagneticOrder, MagneticStart, MagneticState
from atomate2_vogen.schemas.metrics import (
    Distribution,
    EvaluationDoc,
    FormulaMetrics,
    MetricsDoc,
    Proportion,
    Rate,
)
from atomate2_vogen.schemas.paper import GanDoc, PaperDoc, PaperTable
from atomate2_vogen.schemas.phonons import FreeEnergy, PhononDoc, PhononSummary, PhononVerdict
from atomate2_vogen.schemas.refinement import AttemptKind, Refinement, RefinementAttempt
from atomate2_vogen.schemas.search import RelaxedDraws
from atomate2_vogen.schemas.soft_modes import SoftModeDoc
from atomate2_vogen.schemas.stability import (
    DecompositionPhase,
    FieldClass,
    PaperClass,
    ReducedCell,
    StabilityDoc,
    StabilityState,
)
from atomate2_vogen.schemas.training import Artefact, DatasetDoc, TrainingDoc

__all__ = [
    "SCHEMA_VERSION",
    "Artefact",
    "AttemptKind",
    "BandEdge",
    "CalculationDoc",
    "CalculationState",
    "CandidateDoc",
    "ChannelState",
    "CharacterisationState",
    "ConsensusDoc",
    "DatasetDoc",
    "DecompositionPhase",
    "DftDoc",
    "DftEnergy",
    "DiscoveryDoc",
    "Distribution",
    "ElectronicCharacter",
    "ElectronicDoc",
    "ElectronicStructure",
    "EnergyModel",
    "EvaluationDoc",
    "FieldClass",
    "FormulaMetrics",
    "FreeEnergy",
    "GanDoc",
    "JobLink",
    "KnownDoc",
    "Learning",
    "LearntDoc",
    "LoopDoc",
    "MagneticOrder",
    "MagneticStart",
    "MagneticState",
    "MetricsDoc",
    "ModelAgreement",
    "ModelHeight",
    "Opinion",
    "PaperClass",
    "PaperDoc",
    "PaperTable",
    "PhononDoc",
    "PhononSummary",
    "PhononVerdict",
    "Proportion",
    "Rate",
    "ReducedCell",
    "ReferenceDoc",
    "ReferenceLevel",
    "Refinement",
    "RefinementAttempt",
    "Rejection",
    "RejectionReason",
    "RelaxedDraws",
    "RoundDoc",
    "SampleDoc",
    "SoftModeDoc",
    "SpinChannel",
    "StabilityDoc",
    "StabilityState",
    "TrainingDoc",
    "Verdict",
    "VogenDoc",
]
