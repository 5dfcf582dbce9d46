"""Order in which candidates are listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atomate2_vogen.schemas import StabilityDoc


def by_energy(stability: Sequence[StabilityDoc]) -> list[StabilityDoc]:
    """Ranked candidates by energy above hull, then the others by state and id."""
    return sorted(
        stability,
        key=lambda doc: (
            doc.paper_class is None,
            doc.energy_above_hull if doc.paper_class and doc.energy_above_hull is not None else 0.0,
            doc.state.value,
            doc.candidate_id,
        ),
    )
