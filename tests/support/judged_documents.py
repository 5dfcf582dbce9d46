"""Judged candidates on a hull of their own, for figures."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Composition, Lattice, Structure

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.schemas import ReferenceDoc, StabilityDoc
from atomate2_vogen.stability.hull import ReferenceHull, field_class, paper_class

SCHEME = "CHGNet-0.3.0"


def reference(formula, formation):
    symbols = [e.symbol for e, n in Composition(formula).items() for _ in range(int(n))]
    structure = Structure(
        Lattice.cubic(9), symbols, np.linspace(0, 0.9, 3 * len(symbols)).reshape(-1, 3)
    )
    return ReferenceDoc(
        reference_id=formula,
        name=formula,
        scheme=SCHEME,
        formula=structure.composition.reduced_formula,
        structure=structure,
        energy_per_atom=formation,
    )


REFERENCES = [
    reference(f, e)
    for f, e in {"V": 0, "O2": 0, "VO": -2.0, "V2O3": -2.5, "VO2": -2.45, "V2O5": -2.25}.items()
]
HULL = ReferenceHull(REFERENCES, VANADIUM)


def document(formula, above, index, state="ranked", scheme=SCHEME):
    formation = above - HULL.position(Composition(formula), 0.0).energy_above_hull
    ranked = state == "ranked"
    return StabilityDoc(
        stability_id=f"{formula}-{index}",
        candidate_id=f"{formula}-{index}",
        scheme=scheme,
        hull_id=HULL.hull_id,
        chemsys="O-V",
        formula=formula,
        natoms=6,
        sampler="test",
        model_id="m",
        state=state,
        is_converged=True,
        formation_energy_per_atom=formation,
        energy_above_hull=above,
        paper_class=paper_class(formation, above) if ranked else None,
        field_class=field_class(above) if ranked else None,
    )


def documents():
    rng = np.random.default_rng(0)
    made = [
        document(formula, float(above), i)
        for formula in ("VO2", "V2O3", "V2O5")
        for i, above in enumerate(rng.gamma(1.2, 0.25, 12) - 0.03)
    ]
    return [*made, document("VO2", 2.7, 90), document("VO2", -5.0, 91, state="collapsed")]


def offsets(axes):
    points = [c.get_offsets().data for c in axes.collections if hasattr(c, "get_offsets")]
    return np.concatenate([np.asarray(p).reshape(-1, 2) for p in points])
