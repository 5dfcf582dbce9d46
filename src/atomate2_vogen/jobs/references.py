"""Jobs that turn relaxed reference phases into reference documents."""

from __future__ import annotations

from typing import Any

from jobflow import job
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from atomate2_vogen.engines.base import EnergyCorrections
from atomate2_vogen.engines.methods import Method, check_method
from atomate2_vogen.errors import NonFiniteError
from atomate2_vogen.jobs.results import energy_per_atom, is_converged, relaxed_structure
from atomate2_vogen.schemas import ReferenceDoc

SYMPREC = 0.1  # Å; relaxed to a force criterion, not to machine precision


@job(output_schema=ReferenceDoc)
def make_reference(
    relaxed: Any,
    static: Any,
    source: str,
    scheme: str,
    engine_versions: dict[str, str],
    *,
    corrections: EnergyCorrections | None = None,
    methods: dict[str, Method] | None = None,
) -> ReferenceDoc:
    """One reference document from a relaxation and the static on its result.

    Its energy bears the corrections of the engine, if any, as those of candidates do.

    Raises
    ------
    NonFiniteError
        If the relaxation did not converge, or an energy is not finite: a wrong vertex would
        shift every energy above hull.
    SchemeMismatchError
        If a task document tells of another method than `methods` of the stages ``relax`` and
        ``static``, or of another version.

    Examples
    --------
    >>> from atomate2_vogen.engines import chgnet
    >>> from atomate2_vogen.jobs import make_reference
    >>> from pymatgen.core import Lattice, Structure
    >>> engine = chgnet()
    >>> relax = engine.relax_maker.make(Structure(Lattice.cubic(3.0), ["V", "V"], [[0] * 3, [0.5] * 3]))
    >>> static = engine.static_maker.make(relax.output.structure)
    >>> versions = engine.engine_versions
    >>> make_reference(relax.output, static.output, "bcc V", engine.scheme, versions).name
    'make_reference'
    """
    for stage, calculation in (("relax", relaxed), ("static", static)):
        check_method(calculation, (methods or {}).get(stage), engine_versions)
    structure = relaxed_structure(static)
    formula = structure.composition.reduced_formula
    if not is_converged(relaxed):
        raise NonFiniteError(f"reference {formula} ({source}) did not converge; raise its steps")
    symbol = SpacegroupAnalyzer(structure, symprec=SYMPREC).get_space_group_symbol()
    name = f"{formula} {symbol}"
    return ReferenceDoc(
        reference_id=f"{name}|{scheme}",
        name=name,
        scheme=scheme,
        formula=formula,
        structure=structure,
        energy_per_atom=energy_per_atom(static, corrections),
        source=source,
        engine_versions=engine_versions,
    )


@job
def collect_references(references: list[ReferenceDoc]) -> list[ReferenceDoc]:
    """Distinct references; see `distinct_references`.

    Examples
    --------
    >>> from atomate2_vogen.engines import load_references
    >>> from atomate2_vogen.jobs import collect_references
    >>> collect_references(load_references("CHGNet-0.3.0")).name
    'collect_references'
    """
    return distinct_references(references)


def distinct_references(references: list[ReferenceDoc]) -> list[ReferenceDoc]:
    """Distinct references; of those that relaxed into the same crystal the lowest stays.

    Names that still occur twice (two crystals of one formula and space group) get a number.
    """
    matcher = StructureMatcher()
    distinct: list[ReferenceDoc] = []
    for reference in sorted(references, key=lambda reference: reference.energy_per_atom):
        if not any(
            other.formula == reference.formula and matcher.fit(other.structure, reference.structure)
            for other in distinct
        ):
            distinct.append(reference)
    seen: dict[str, int] = {}
    for reference in distinct:
        seen[reference.name] = seen.get(reference.name, 0) + 1
        if seen[reference.name] > 1:
            reference.name = f"{reference.name} {seen[reference.name]}"
            reference.reference_id = f"{reference.name}|{reference.scheme}"
    return sorted(distinct, key=lambda reference: reference.reference_id)
