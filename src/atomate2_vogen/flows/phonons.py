"""The flow from crystals to their phonons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jobflow import Flow, Job, Maker, OutputReference

from atomate2_vogen.engines import Engine
from atomate2_vogen.engines.chgnet_engine import chgnet
from atomate2_vogen.engines.validation import check_engine
from atomate2_vogen.errors import EngineCapabilityError, InputError
from atomate2_vogen.jobs.later import joined_flow, make_later, pieces
from atomate2_vogen.jobs.phonons import collect_phonons, phonon_cell, plain_settings, record_phonons
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.jobs.screening import RECORD_STAGE, TOLERANT
from atomate2_vogen.jobs.subjects import Crystal, Subject, subjects_from
from atomate2_vogen.jobs.tolerance import UNRESOLVED, guard_flow
from atomate2_vogen.phonons.supercells import (
    CONVERGENCE_SERIES,
    MAX_SUPERCELL_ATOMS,
    Supercell,
    check_supercell,
    check_supercell_size,
    supercell_name,
)
from atomate2_vogen.structures.magnetic_patterns import lowers_symmetry

MAKER_FIELDS = (
    "bulk_relax_maker",
    "static_energy_maker",
    "phonon_displacement_maker",
    "min_length",
    "use_symmetrized_structure",
    "kpath_scheme",
    "store_force_constants",
)
"""What a phonon Maker must have: those of atomate2's `BasePhononMaker` that are used here."""


@dataclass
class PhononFlowMaker(Maker):
    """Tight relaxation, displacements, verdict; for each crystal.

    What fails ends as a document with the state ``failed`` and the reason, and the rest goes
    on.

    Parameters
    ----------
    name
        Name of the flow.
    engine
        With a phonon Maker of atomate2's kind; the default is CHGNet. The Maker's own
        relaxation is run once per crystal, however many supercells are asked for.
    supercell
        Cells along each axis, e.g. (5, 5, 4), of the cell that is given.
    min_length
        Å: the supercell is the smallest with no edge below; where neither is given, the
        engine's Maker decides.
    max_atoms
        Largest supercell that is calculated.
    symprec
        Tolerance in Å of the symmetrisation after the relaxation; None for none.

    Examples
    --------
    >>> from atomate2_vogen import PhononFlowMaker
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> PhononFlowMaker(supercell=(2, 2, 2)).make([crystal]).name
    'phonons'
    """

    name: str = "phonons"
    engine: Engine = field(default_factory=chgnet)
    supercell: Supercell | None = None
    min_length: float | None = None
    max_atoms: int = MAX_SUPERCELL_ATOMS
    symprec: float | None = 0.01

    def __post_init__(self) -> None:
        """Refuse what is no engine."""
        check_engine(self.engine, self)

    def make(self, crystals: Sequence[Crystal] | OutputReference) -> Flow:
        """Flow whose output is a list of `PhononDoc`, in the order of the crystals.

        Parameters
        ----------
        crystals
            Structures, candidates, or calculations and stability documents of one scheme; or the
            output of a job that gives one of these or a list of them, such as `select_best`: then
            the fan-out is made when that job has run.

        Raises
        ------
        EngineCapabilityError
            If the engine has no phonons.
        SupercellError
            If the supercell asked for is none, or too large for a crystal.
        InputError
            If there is no crystal, one comes twice, one has no relaxed structure, or both
            `supercell` and `min_length` are given.
        SchemeMismatchError
            If relaxed crystals are of several schemes.
        """
        self.check()
        if isinstance(crystals, OutputReference):
            return make_later(self, crystals)
        return self.fan_out(subjects_from(crystals), [self.supercell])

    def make_series(
        self, crystal: Crystal, supercells: Sequence[Supercell] = CONVERGENCE_SERIES
    ) -> Flow:
        """Flow over several supercells of one crystal, which is relaxed once.

        Its output is a list of `PhononDoc`, one per supercell.

        Parameters
        ----------
        crystal
            As one of `make`.
        supercells
            Cells along each axis; by default the paper's series.

        Raises
        ------
        EngineCapabilityError, SupercellError, InputError
            As `make`; if no supercell is given, or one twice.
        """
        self.check()
        wanted = [check_supercell(supercell) for supercell in supercells]
        if not wanted or len(set(wanted)) != len(wanted):
            raise InputError("a series needs supercells, each once")
        return self.fan_out(subjects_from([crystal]), wanted)

    def check(self) -> None:
        """Refuse what the jobs could only fail on; errors as of `make`."""
        if self.engine.phonon_maker is None:
            raise EngineCapabilityError(
                f"engine {self.engine.name} has no phonon Maker; take one that does, such as "
                "chgnet or vasp"
            )
        if missing := [f for f in MAKER_FIELDS if not hasattr(self.engine.phonon_maker, f)]:
            raise EngineCapabilityError(
                f"the phonon Maker of engine {self.engine.name} is none of atomate2's kind: it "
                f"lacks {', '.join(missing)}"
            )
        if self.supercell is not None:
            check_supercell(self.supercell)
            if self.min_length is not None:
                raise InputError("give a supercell or min_length, not both")
        if self.min_length is not None and not self.min_length > 0:
            raise InputError(f"min_length is {self.min_length} Å, not positive")

    def fan_out(self, subjects: Sequence[Subject], supercells: Sequence[Supercell | None]) -> Flow:
        """Flow over all subjects and supercells; errors as of `make`."""
        for supercell in supercells:
            if supercell is None:
                continue  # its size is known, and checked, once the cell is relaxed
            for subject in subjects:
                check_supercell_size(np.diag(supercell), len(subject.structure), self.max_atoms)
        made = [self._piece(piece, supercells) for piece in pieces(subjects)]
        return joined_flow(made, self.name)

    def _piece(self, subjects: Sequence[Subject], supercells: Sequence[Supercell | None]) -> Flow:
        """Flow over crystals whose documents fit into one."""
        flows: list[Flow] = []
        requests: list[tuple[Subject, str]] = []
        documents: list[Any] = []
        for subject in subjects:
            flow, made = self._subject_flow(subject, supercells)
            flows.append(flow)
            documents += [document.output for document in made]
            requests += [(subject, self.supercell_name_of(supercell)) for supercell in supercells]
        gathered: Job = collect_phonons(requests, self.engine, documents)
        gathered.config = TOLERANT
        gathered.update_metadata({"scheme": self.engine.scheme, "stage": "collect phonons"})
        place(gathered, ANALYSIS)
        return Flow([*flows, gathered], output=gathered.output, name=self.name)

    def supercell_name_of(self, supercell: Supercell | None) -> str:
        """How documents call a supercell; that of None is the one that the Maker would find."""
        maker: Any = self.engine.phonon_maker
        length = maker.min_length if self.min_length is None else self.min_length
        return supercell_name(supercell, length)

    def _subject_flow(
        self, subject: Subject, supercells: Sequence[Supercell | None]
    ) -> tuple[Flow, list[Job]]:
        """Jobs of one crystal, and those that make its documents."""
        maker: Any = self.engine.phonon_maker
        if self.min_length is not None:
            maker = replace(maker, min_length=self.min_length)
        jobs: list[Job | Flow] = []
        relaxed: Any = subject.structure
        previous: dict[str, Any] = {}
        if maker.bulk_relax_maker is not None:
            relax = maker.bulk_relax_maker.make(subject.structure)
            relax.name = f"tight relax {subject.candidate_id}"
            jobs.append(relax)
            relaxed = relax.output
            if getattr(maker, "prev_calc_dir_argname", None) is not None:
                # an engine with electrons: displaced cells start from the moments found there
                previous["prev_dir"] = relax.output.dir_name
        if previous and lowers_symmetry(subject.structure, self.symprec or maker.symprec):
            # atoms that are equivalent without moments have different force constants here
            maker = replace(maker, sym_reduce=False)
        # relaxed and symmetrised here; the energy and the path through the zone are not needed,
        # the force constants are, which atomate2's Maker for VASP does not keep of itself
        bare = replace(
            maker,
            bulk_relax_maker=None,
            static_energy_maker=None,
            use_symmetrized_structure=None,
            kpath_scheme="seekpath",
            store_force_constants=True,
        )
        documents = []
        for supercell in supercells:
            cell: Job = phonon_cell(
                relaxed,
                bare,
                plain_settings(bare),
                supercell=supercell,
                max_atoms=self.max_atoms,
                symprec=self.symprec,
                method=self.engine.method("phonon relax"),
                engine_versions=self.engine.engine_versions,
            )
            displaced = bare.make(
                cell.output["structure"],
                supercell_matrix=cell.output["supercell_matrix"],
                **previous,
            )
            document: Job = record_phonons(
                subject,
                self.engine,
                self.supercell_name_of(supercell),
                cell.output,
                displaced.output,
            )
            jobs += [cell, displaced]
            documents.append(document)
        guarded = Flow(jobs, name=f"forces {subject.candidate_id}")
        guard_flow(guarded)
        guarded.update_metadata({"stage": "phonons"})
        place(guarded, self.engine.manager_config)
        for document in documents:
            document.config = UNRESOLVED
            document.name = f"phonons {subject.candidate_id}"
            document.update_metadata({"stage": f"{RECORD_STAGE} phonons"})
            place(document, ANALYSIS)
        flow = Flow([guarded, *documents], name=subject.candidate_id)
        flow.update_metadata({"candidate_id": subject.candidate_id, "scheme": self.engine.scheme})
        return flow, documents
