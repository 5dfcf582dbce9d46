"""Parents of an evolutionary search from files, folders and earlier results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.schemas import CandidateDoc, StabilityDoc
    from atomate2_vogen.schemas.crystals import Crystal


def read_parents(paths: Sequence[Path], system: OxideSystem | None) -> tuple[list[Crystal], str]:
    """Parents, and a hash of them.

    Parameters
    ----------
    paths
        Structure files, folders of them, or folders of earlier results. Of a result with judged
        crystals those of `stability.diverse_parents` are taken, which have energies.
    system
        Oxide system; None for the default one.

    Raises
    ------
    InputError
        If a file cannot be used, a result has no crystal near the hull, a crystal is none of the
        system, or some but not all of the crystals have energies.
    StoreConnectionError
        If the store of a result cannot be opened.
    SchemeMismatchError
        If results are of several energy models.
    """
    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.samplers.evolution import EvolutionSampler

    system = system or VANADIUM
    crystals: list[Crystal] = []
    for path in paths:
        judged = _judged(path, system)
        crystals += _of_files(path, system) if judged is None else judged
    model_id = EvolutionSampler(system=system, parents=crystals).model_id
    return crystals, model_id.rpartition("-")[2]


def _judged(path: Path, system: OxideSystem) -> list[StabilityDoc] | None:
    """Parents from a store; None where there is no store or nothing in it is judged."""
    from atomate2_vogen.errors import InputError
    from atomate2_vogen.stability.judging import NEAR_HULL_LIMIT
    from atomate2_vogen.stability.selection import diverse_parents
    from atomate2_vogen.stores import VogenStores
    from atomate2_vogen.stores.opening import RUN_STORE, holds_store

    if not path.is_dir() or not (holds_store(path / RUN_STORE) or holds_store(path)):
        return None
    with VogenStores.open(path) as stores:
        if not len(stores.query(chemsys=system.chemsys)):
            return None
        rows = stores.query(chemsys=system.chemsys, max_hull=NEAR_HULL_LIMIT, unique=True)
        parents = diverse_parents(list(rows.documents()))
    if not parents:
        raise InputError(
            f"--parents {path}: no crystal in it lies within {NEAR_HULL_LIMIT} eV/atom of the hull"
        )
    return parents


def _of_files(path: Path, system: OxideSystem) -> list[CandidateDoc]:
    """Parents from structure files, all of which must be readable."""
    from atomate2_vogen.jobs.evaluation import candidates_from
    from atomate2_vogen.structures.reading.structures import read_structures

    good, bad = read_structures([path], system)
    if bad:
        more = f"; {len(bad) - 1} more cannot be used" if len(bad) > 1 else ""
        raise type(bad[0].error)(f"--parents {bad[0].error}{more}")
    return candidates_from([one.structure for one in good], [{"file": one.label} for one in good])
