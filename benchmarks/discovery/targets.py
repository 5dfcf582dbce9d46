"""Real phases that a sampler may find again, relaxed by the judge; those that it merges count once.

Shipped reference phases, and phases of ``literature.json`` (cells and sites as published).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.data import load_dataset, load_prototypes
from atomate2_vogen.errors import InputError
from atomate2_vogen.jobs.evaluation import candidates_from
from atomate2_vogen.samplers import SAMPLERS
from atomate2_vogen.structured import read_structured
from atomate2_vogen.structures.matching import KnownStructures, duplicate_groups
from discovery.arms import Arm
from discovery.judging import Judge

LITERATURE = Path(__file__).with_name("literature.json")
MAX_ATOMS = 20
"""Of a target's primitive cell."""


@dataclass(frozen=True)
class Phase:
    """One real phase.

    Parameters
    ----------
    name, source
        Name, and where the structure is from.
    structure
        Relaxed by the judge, primitive.
    above_hull
        eV/atom by the judge.
    """

    name: str
    source: str
    structure: Structure
    above_hull: float


@dataclass(frozen=True)
class Target:
    """What counts once: one phase, or several that the judge relaxes into the same crystal.

    Parameters
    ----------
    phases
        Its phases, the lowest first.
    given_as
        Name of a crystal that it matches and that the sampler was given, if any: finding such a
        phase again proves little.
    """

    phases: tuple[Phase, ...]
    given_as: str | None

    @property
    def name(self) -> str:
        """Name of its lowest phase."""
        return self.phases[0].name

    @property
    def formula(self) -> str:
        """Reduced formula."""
        return str(self.phases[0].structure.composition.reduced_formula)

    @property
    def structure(self) -> Structure:
        """Crystal of its lowest phase."""
        return self.phases[0].structure


def literature_phases(path: Path = LITERATURE) -> list[tuple[str, str, Structure]]:
    """Name, source and published structure of the phases in the file.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    found = []
    for entry in read_structured(path, InputError):
        species, coords = zip(*entry["sites"], strict=True)
        lattice = Lattice.from_parameters(*entry["lengths"], *entry["angles"])
        structure = Structure.from_spacegroup(entry["space_group"], lattice, species, coords)
        found.append((entry["name"], entry["source"], structure))
    return found


def phases(judge: Judge) -> tuple[list[Phase], dict[str, str]]:
    """Phases of both elements within `MAX_ATOMS`, and why others of the file are left out.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    found, left_out = [], {}
    for reference in judge.references:
        primitive = reference.structure.get_primitive_structure()
        if len(primitive.composition) > 1 and len(primitive) <= MAX_ATOMS:
            place = judge.hull.position(primitive.composition, reference.energy_per_atom)
            found.append(
                Phase(reference.name, reference.source, primitive, place.energy_above_hull)
            )
    for name, source, structure in literature_phases():
        (candidate,) = candidates_from([structure.get_primitive_structure()])
        outcome, judged = judge.outcome(judge.calculate(candidate))
        if judged.document.structure is None or outcome.state != "ranked":
            left_out[name] = f"{outcome.state}: {outcome.reason}"
            continue
        primitive = judged.document.structure.get_primitive_structure()
        found.append(Phase(name, source, primitive, outcome.above_hull or 0.0))
    return found, left_out


def targets(judge: Judge, arm: Arm) -> tuple[list[Target], dict[str, str]]:
    """What is to be found again, in the order of formula and energy, and what was left out."""
    found, left_out = phases(judge)
    return merged(found, given_crystals(arm, judge.system)), left_out


def given_crystals(arm: Arm, system: OxideSystem) -> KnownStructures:
    """Crystals that a sampler draws from or learned from.

    Networks learned from the training and validation splits of the data set, which hold no known
    compound of the system; random search was given nothing; any other sampler has the whole
    substitution pool at hand.
    """
    crystals = load_dataset(system)
    if arm.sampler == "random":
        chosen = np.zeros(len(crystals), dtype=bool)
    elif SAMPLERS[arm.sampler].has_networks:
        chosen = np.isin(crystals.splits, ["train", "validation"])
    else:
        chosen = crystals.is_distinct
    names = {prototype.prototype_id: prototype.name for prototype in load_prototypes()}
    part = crystals.select(chosen & crystals.is_distinct)
    return KnownStructures(
        {
            f"{names[int(number)]} #{int(number)}, {index}": part.structure(index)
            for index, number in enumerate(part.prototype_ids)
        }
    )


def merged(found: Sequence[Phase], given: KnownStructures) -> list[Target]:
    """Targets of phases: those that the matcher takes for the same crystal are one."""
    ordered = sorted(found, key=lambda phase: (phase.above_hull, phase.name))
    leaders = duplicate_groups(
        [phase.structure for phase in ordered], [phase.above_hull for phase in ordered]
    )
    made = [
        Target(
            tuple(phase for phase, of in zip(ordered, leaders, strict=True) if of == leader),
            given.find(ordered[leader].structure),
        )
        for leader in sorted(set(leaders))
    ]
    return sorted(made, key=lambda target: target.formula)
