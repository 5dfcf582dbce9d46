"""Summary of a discovery flow."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from atomate2_vogen.schemas.base import VogenDoc
from atomate2_vogen.schemas.electronic import ElectronicDoc
from atomate2_vogen.schemas.metrics import MetricsDoc
from atomate2_vogen.schemas.phonons import PhononDoc
from atomate2_vogen.schemas.stability import StabilityDoc


class DiscoveryDoc(VogenDoc):
    """Summary of a discovery flow: stability, metrics, electrons and phonons of its crystals.

    In a job store its lists lie in the ``data`` store: ``get_output(uuid, load=True)`` reads all.

    Examples
    --------
    >>> DiscoveryDoc(
    ...     scheme="CHGNet-0.3.0", sample={}, n_candidates=0, n_calculated=0, stability=[]
    ... ).metrics is None
    True
    """

    scheme: str
    sample: dict[str, Any] = Field(description="counts and yields of the sampling")
    n_candidates: int
    n_calculated: int
    stability: list[StabilityDoc]
    metrics: MetricsDoc | None = None
    characterised: list[str] = Field(
        default_factory=list, description="candidate ids that went on to bands or phonons"
    )
    electronic: list[ElectronicDoc] = Field(
        default_factory=list, description="without bands and DOS, which the record job keeps"
    )
    phonons: list[PhononDoc] = Field(
        default_factory=list, description="without bands, DOS and force constants"
    )
