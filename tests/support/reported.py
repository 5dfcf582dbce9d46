"""Documents of a small run for reports: ranked, failed, collapsed, with bands and phonons."""

from __future__ import annotations

from functools import cache

import judged_documents
import made_bands
from made_bands import gapped, metallic
from pymatgen.core import Lattice, Structure
from pymatgen.io.phonopy import get_pmg_structure
from toy_solids import springs

from atomate2_vogen.phonons.harmonic import phonon_bands, phonon_dos, summarise_phonons
from atomate2_vogen.report import ReportDocuments
from atomate2_vogen.schemas import (
    CalculationDoc,
    CandidateDoc,
    PhononDoc,
)
from atomate2_vogen.stability.hull import assess
from atomate2_vogen.stability.metrics import measure
from atomate2_vogen.structures.matching import KnownStructures

SCHEME = judged_documents.SCHEME
REFERENCES = judged_documents.REFERENCES
HULL = judged_documents.HULL
EVIL = "</script><script>window.pwned=1</script><img src=x onerror=window.pwned=1>\"'&"
EVIL_ID = "id" + EVIL.replace("/", "")  # an id with a separator of folders is refused before
RUN = {
    "format": 1,
    "command": "discover",
    "identity": {"version": "0.1.0", "sampler": "wgan", "counts": {"VO2": 8}, "seed": 7},
    "started": "2026-01-02T03:04:05+00:00",
    "judge": SCHEME,
    "hull_id": HULL.hull_id,
    "workers": 2,
    "versions": {"python": "3.11.7", "numpy": "2.4.6"},
    "stages": [
        {"run": 1, "stage": "sampling", "candidates": 8, "attempts": 99, "seconds": 12.34},
        {"run": 1, "stage": "relaxation", "candidates": 8, "reused": 0, "seconds": 45.6},
        {"run": 2, "stage": "sampling", "reused": ["VO2"], "seconds": 0.4},
    ],
}


def rutile(a=4.6, c=2.9, u=0.3):
    return Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(a, c), ["V", "O"], [[0, 0, 0], [u, u, 0]]
    )


def corundum():
    return Structure.from_spacegroup(
        "R-3c", Lattice.hexagonal(4.95, 14.0), ["V", "O"], [[0, 0, 0.346], [0.31, 0, 0.25]]
    ).get_primitive_structure()


def squashed():
    """Rutile in which oxygens have fallen onto each other."""
    return rutile(u=0.45)


def calculation(structure, above, *, index, name=None, relaxed=None, state="completed", **changes):
    formula = structure.composition.reduced_formula
    candidate = CandidateDoc.make(
        structure,
        sampler="wgan",
        model_id="abc123",
        formula=formula,
        seed=7,
        index=index,
        details={"file": name} if name else {"projections": 2},
    )
    on_hull = -HULL.position(structure.composition, 0.0).energy_above_hull
    fields = {
        "calculation_id": f"{candidate.candidate_id}|{SCHEME}",
        "candidate_id": candidate.candidate_id,
        "scheme": SCHEME,
        "state": state,
        "candidate": candidate,
        "structure": relaxed or structure,
        "initial_energy_per_atom": on_hull + above + 1.0,
        "energy_per_atom": on_hull + above,
        "max_force": 0.04,
        "n_steps": 12,
        "cpu_time": 3.0,
        "engine_versions": {"judge": "1.2"},
    }
    return CalculationDoc(**(fields | changes))


def calculations():
    """Six ranked ones, one collapsed, one unconverged, one failed."""
    return [
        calculation(rutile(4.9), 0.02, index=0, relaxed=rutile()),
        calculation(rutile(5.0, 3.1), 0.35, index=1, relaxed=rutile(5.1, 2.6, 0.27)),
        calculation(rutile(5.2, 3.1), 0.7, index=2, relaxed=rutile(5.6, 3.3, 0.25)),
        calculation(corundum(), -0.03, index=3),
        calculation(corundum(), 3.0, index=4),
        calculation(rutile(4.7), 0.12, index=5, name="mine/rutile.cif"),
        calculation(rutile(), -9.0, index=6, relaxed=squashed()),
        calculation(rutile(), 0.1, index=7, state="unconverged"),
        calculation(
            rutile(), 0.1, index=8, state="failed", error="the judge gave up", energy_per_atom=None
        ).model_copy(update={"structure": None}),
    ]  # fmt: skip


def electronic(candidate_id, **changes):
    fields = {"electronic_id": f"{candidate_id}|toy+U-1", "candidate_id": candidate_id}
    return made_bands.electronic([metallic(0.0), gapped(-0.8, 1.2)], **(fields | changes))


def phonons(candidate_id, **changes):
    phonon = springs(5.0, supercell=(4, 1, 1))
    bands = phonon_bands(phonon, points=11)
    fields = {
        "phonon_id": f"{candidate_id}|springs-1|4x1x1",
        "candidate_id": candidate_id,
        "scheme": "springs-1",
        "engine": "springs",
        "known_weakness": "holds nothing sideways",
        "requested_supercell": "4x1x1",
        "state": "completed",
        "formula": "VO2",
        "structure": get_pmg_structure(phonon.unitcell),
        "phonons": summarise_phonons(phonon, bands, mesh_length=30.0),
        "phonon_bands": bands,
        "phonon_dos": phonon_dos(phonon, mesh_length=30.0),
    }
    return PhononDoc(**(fields | changes))


def documents(**changes):
    """All of it; `changes` replace fields of `ReportDocuments`."""
    made = calculations()
    known = KnownStructures({"rutile, known": rutile()})
    stability = assess(made, REFERENCES, known=known, joint=True)
    first = made[0].candidate_id
    fields = {
        "stability": stability,
        "references": REFERENCES,
        "calculations": made,
        "metrics": measure(
            [c.candidate for c in made], made, stability, novelty_pool={"phases": 1}
        ),
        "electronic": [electronic(first)],
        "phonons": [phonons(first), phonons(made[1].candidate_id, phonon_id="failed",
                                            state="failed", error="cursed", phonons=None)],
        "run": RUN,
    }  # fmt: skip
    return ReportDocuments(**(fields | changes))


def hostile():
    """The same with markup wherever a document has text."""
    whole = documents()
    name = EVIL_ID
    stability = [
        document.model_copy(
            update={
                "candidate_id": f"{name}{number}",
                "known_as": EVIL,
                "space_group_symbol": EVIL,
                "reason": EVIL,
                "model_id": EVIL,
                "formula": EVIL if document.paper_class is None else document.formula,
            }
        )
        for number, document in enumerate(whole.stability)
    ]
    made = []
    for number, calculated in enumerate(whole.calculations):
        candidate = calculated.candidate.model_copy(
            update={"candidate_id": f"{name}{number}", "sampler": EVIL, "details": {EVIL: EVIL}}
        )
        made.append(
            calculated.model_copy(
                update={
                    "candidate_id": f"{name}{number}",
                    "candidate": candidate,
                    "engine_versions": {EVIL: EVIL},
                }
            )
        )
    return documents(
        stability=stability,
        calculations=made,
        metrics=None,
        electronic=[electronic(f"{name}0", engine=EVIL, error=EVIL, state="failed")],
        phonons=[phonons(f"{name}0", known_weakness=EVIL)],
        run={"command": EVIL, "identity": {EVIL: EVIL}, "versions": {EVIL: EVIL},
             "stages": [{"stage": EVIL, EVIL: 1, "seconds": 1}]},
    )  # fmt: skip


@cache
def whole():
    """`documents()`, made once."""
    return documents()
