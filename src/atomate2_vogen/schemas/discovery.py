"""What the discovery flow ends with."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from atomate2_vogen.schemas.base import VogenDoc
from atomate2_vogen.schemas.metrics import MetricsDoc
from atomate2_vogen.schemas.stability import StabilityDoc


class DiscoveryDoc(VogenDoc):
    """Summary that the discovery flow ends with."""

    scheme: str
    sample: dict[str, Any] = Field(description="counts and yields of the sampling")
    n_candidates: int
    n_calculated: int
    stability: list[StabilityDoc]
    metrics: MetricsDoc | None = None
