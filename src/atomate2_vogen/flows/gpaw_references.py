"""References for an engine of its own scheme: the anion as a molecule, the rest as crystals."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from jobflow import Flow, Maker
from pymatgen.core import Composition

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines import Engine
from atomate2_vogen.engines.gpaw_engine import gpaw
from atomate2_vogen.engines.references import ReferencePhase, reference_structures
from atomate2_vogen.engines.validation import check_engine
from atomate2_vogen.errors import InputError
from atomate2_vogen.flows.references import ReferencesFlowMaker
from atomate2_vogen.jobs.molecules import MOLECULE_BOX, add_reference, anion_molecule, check_spin
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.jobs.references import make_reference


@dataclass
class MoleculeReferencesFlowMaker(Maker):
    """As `ReferencesFlowMaker`, but with a molecule in a box for the anion.

    That is the field's convention for density functionals of plane waves. The functional's
    overbinding of the molecule is in it, uncorrected: PBE's formation energies of oxides are too
    small by some tenths of eV per O, the same for every oxide per O.

    Parameters
    ----------
    name
        Name of the flow.
    engine
        Engine whose relax Maker has a field ``relax_cell``; the default is GPAW.
    system
        Oxide system.
    box
        Shortest edge of the molecule's box, Å.
    compounds
        False: the two elements alone. Formation energies can be had from these; a hull needs
        the compounds.

    Examples
    --------
    >>> from atomate2_vogen.engines import gpaw
    >>> from atomate2_vogen.flows import MoleculeReferencesFlowMaker
    >>> maker = MoleculeReferencesFlowMaker(engine=gpaw(check=False), compounds=False)
    >>> maker.make().name
    'references with molecule'
    """

    name: str = "references with molecule"
    engine: Engine = field(default_factory=gpaw)
    system: OxideSystem = VANADIUM
    box: float = MOLECULE_BOX
    compounds: bool = True

    def __post_init__(self) -> None:
        """Refuse what is no engine."""
        check_engine(self.engine, self)

    def make(self, phases: list[ReferencePhase] | None = None) -> Flow:
        """Flow whose output is the list of distinct reference documents.

        Parameters
        ----------
        phases
            Crystals to relax instead of the shipped ones; crystals of the anion are left out.

        Raises
        ------
        InputError
            If the engine's relax Maker cannot keep a cell.
        MissingReferenceError
            If no starting structures are shipped for the system.
        """
        if not hasattr(self.engine.relax_maker, "relax_cell"):
            raise InputError(f"the relax Maker of engine {self.engine.name} cannot keep a cell")
        crystals = [
            phase
            for phase in (reference_structures(self.system) if phases is None else phases)
            if self._is_wanted(phase.structure.composition)
        ]
        solid = ReferencesFlowMaker(engine=self.engine, system=self.system).make(crystals)
        box = anion_molecule(self.system, self.box)
        relax_maker: Any = self.engine.relax_maker
        keep_cell = replace(relax_maker, relax_cell=False)
        relax = keep_cell.make(box)
        static = self.engine.static_maker.make(relax.output.structure)
        checked = check_spin(static.output, self.system.anion)
        edges = " x ".join(f"{length:g}" for length in box.lattice.abc)
        gas = make_reference(
            relax.output,
            checked.output,
            f"molecule in a box of {edges} Å",
            self.engine.scheme,
            self.engine.engine_versions,
            corrections=self.engine.energy_corrections,
            methods=self.engine.methods,
        )
        gathered = add_reference(solid.output, gas.output)
        for calculation in (relax, static):
            place(calculation, self.engine.manager_config)
        for judging in (checked, gas, gathered):
            place(judging, ANALYSIS)
        return Flow(
            [solid, relax, static, checked, gas, gathered], output=gathered.output, name=self.name
        )

    def _is_wanted(self, composition: Composition) -> bool:
        symbols = {element.symbol for element in composition.elements}
        if symbols == {self.system.anion}:
            return False
        return self.compounds or len(symbols) == 1
