"""One row per candidate: the raw output of a benchmark, as a table that any tool reads.

A file is a gzipped CSV with a header (`pandas.read_csv` takes it as it is). Numbers are written
with all their digits, unknown ones as empty cells, and crystals as CIF, so that tables,
pictures and a second judgement can be made from the file alone.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter

from atomate2_vogen.errors import ArtefactError
from atomate2_vogen.files import write_atomically
from atomate2_vogen.schemas import (
    CalculationDoc,
    CalculationState,
    CandidateDoc,
    SampleDoc,
    StabilityDoc,
    StabilityState,
)
from atomate2_vogen.stability.bookkeeping import by_candidate, samples_and_candidates
from atomate2_vogen.structures.cif import read_block
from atomate2_vogen.structures.matching import duplicate_groups

Record = dict[str, Any]
"""Values by column; None where unknown."""

GENERATED, RELAXED = "cif_generated", "cif_relaxed"

COLUMNS: dict[str, type] = {
    "candidate_id": str,
    "sampler": str,
    "model_id": str,
    "seed": int,
    "index": int,
    "chemsys": str,
    "formula": str,
    "natoms": int,
    "scheme": str,
    "hull_id": str,
    "state": str,
    "reason": str,
    # eV/atom
    "initial_energy_per_atom": float,
    "energy_per_atom": float,
    "initial_formation_energy_per_atom": float,
    "formation_energy_per_atom": float,
    "initial_energy_above_hull": float,
    "energy_above_hull": float,
    "energy_above_joint_hull": float,
    "judged_energy_per_atom": float,
    "paper_class": str,
    "field_class": str,
    "imatgen_stable": bool,
    "is_converged": bool,
    "n_steps": int,
    "max_force": float,
    "minimum_distance": float,
    "bonding_dimensionality": int,
    "empty_gap": float,
    "is_bulk": bool,
    "space_group_symbol": str,
    "space_group_number": int,
    "is_unique_generated": bool,
    "is_unique": bool,
    "duplicate_group": str,
    "is_novel": bool,
    "known_as": str,
    "rmsd_to_relaxed": float,
    # CPU seconds; the first two are equal shares of what the sample took
    "sampling_seconds": float,
    "single_point_seconds": float,
    "relaxation_seconds": float,
    "relaxation_wall_seconds": float,
    # what the sampler tells of this one, as JSON
    "details": str,
    GENERATED: str,
    RELAXED: str,
}
"""Columns and their types. Those that `StabilityDoc` has too mean the same as there."""

LATER = ("bonding_dimensionality", "empty_gap", "is_bulk")
"""Columns that older files lack; they are unknown there."""

_OF_STABILITY = tuple(name for name in COLUMNS if name in StabilityDoc.model_fields)
_BOOLEANS = {"true": True, "false": False}
_STATES = {
    StabilityState.FAILED.value: CalculationState.FAILED,
    StabilityState.UNCONVERGED.value: CalculationState.UNCONVERGED,
}


def candidate_records(
    sample: SampleDoc, calculations: Sequence[CalculationDoc], stability: Sequence[StabilityDoc]
) -> list[Record]:
    """Rows of what one sampler delivered, in the order of the candidate ids.

    Parameters
    ----------
    sample
        What was delivered, and what it cost.
    calculations, stability
        One of each per candidate.

    Raises
    ------
    InputError
        If a candidate lacks one of them, or one is of no candidate.
    """
    _, crystals = samples_and_candidates(sample)
    calculated = by_candidate(calculations, crystals, "calculation")
    judged = by_candidate(stability, crystals, "stability document")
    leaders = duplicate_groups([c.structure for c in crystals], [0.0] * len(crystals))
    whole = sample.wall_time if sample.cpu_time is None else sample.cpu_time
    judging = sample.judge_cpu_time or 0.0
    shares = {
        "sampling_seconds": (whole - judging) / max(1, len(crystals)),
        "single_point_seconds": judging / max(1, len(crystals)),
    }
    return [
        _record(
            candidate,
            calculated[candidate.candidate_id],
            judged[candidate.candidate_id],
            shares | {"is_unique_generated": leaders[index] == index},
        )
        for index, candidate in enumerate(crystals)
    ]


def _record(
    candidate: CandidateDoc,
    calculation: CalculationDoc,
    judgement: StabilityDoc,
    others: Mapping[str, Any],
) -> Record:
    """One row."""
    content = judgement.model_dump(mode="json", include=set(_OF_STABILITY))
    content |= {
        "seed": candidate.seed,
        "index": candidate.index,
        "initial_energy_per_atom": calculation.initial_energy_per_atom,
        "energy_per_atom": calculation.energy_per_atom,
        "judged_energy_per_atom": candidate.details.get("judged_energy_per_atom"),
        "n_steps": calculation.n_steps,
        "max_force": calculation.max_force,
        "relaxation_seconds": calculation.cpu_time,
        "relaxation_wall_seconds": calculation.wall_time,
        "details": json.dumps(candidate.details, sort_keys=True) if candidate.details else None,
        GENERATED: _cif(candidate.structure),
        RELAXED: None if calculation.structure is None else _cif(calculation.structure),
        **others,
    }
    return {name: content[name] for name in COLUMNS}


def write_records(records: Iterable[Mapping[str, Any]], path: str | PathLike[str]) -> Path:
    """Write rows; the same rows give the same bytes.

    Parameters
    ----------
    records
        As `candidate_records` gives them.
    path
        File to write, ``….csv.gz``.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in records:
        writer.writerow([_cell(record[name]) for name in COLUMNS])
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, gzip.compress(text.getvalue().encode(), 9, mtime=0))
    return target


def read_records(path: str | PathLike[str]) -> list[Record]:
    """Read rows back.

    Raises
    ------
    ArtefactError
        If the file is none of `write_records`, or damaged.
    """
    try:
        text = gzip.decompress(Path(path).read_bytes()).decode()
        rows = csv.reader(io.StringIO(text, newline=""))
        header = next(rows, [])
        if missing := [name for name in COLUMNS if name not in {*header, *LATER}]:
            raise ArtefactError(f"{path}: no table of candidates; it lacks {', '.join(missing)}")
        return [
            dict.fromkeys(COLUMNS)
            | {name: _value(text, COLUMNS[name]) for name, text in zip(header, row, strict=True)
               if name in COLUMNS}
            for row in rows
        ]  # fmt: skip
    except (EOFError, gzip.BadGzipFile, ValueError, KeyError, csv.Error, OSError) as error:
        raise ArtefactError(f"{path}: cannot be read as a table of candidates ({error})") from error


def stability_of(record: Mapping[str, Any], *, structure: bool = True) -> StabilityDoc:
    """The judgement that a row tells of, with the relaxed crystal or, quicker, without."""
    content = {name: record[name] for name in _OF_STABILITY if record[name] is not None}
    return StabilityDoc(
        stability_id=f"{record['candidate_id']}|{record['scheme']}",
        structure=structure_of(record, RELAXED) if structure and record[RELAXED] else None,
        **content,
    )


def calculation_of(record: Mapping[str, Any]) -> CalculationDoc:
    """What a row tells of the candidate and its calculation; crystals have a CIF's eight digits."""
    candidate = CandidateDoc(
        **{key: record[key] for key in ("candidate_id", "sampler", "model_id", "formula", "index")},
        seed=record["seed"],
        structure=structure_of(record),
        details=json.loads(record["details"] or "{}"),
    )
    relaxed = structure_of(record, RELAXED) if record[RELAXED] else None
    return CalculationDoc(
        calculation_id=f"{record['candidate_id']}|{record['scheme']}",
        candidate_id=record["candidate_id"],
        scheme=record["scheme"],
        state=_STATES.get(record["state"], CalculationState.COMPLETED),
        error=record["reason"],
        candidate=candidate,
        structure=relaxed,
        initial_energy_per_atom=record["initial_energy_per_atom"],
        energy_per_atom=record["energy_per_atom"],
        max_force=record["max_force"],
        n_steps=record["n_steps"],
        rmsd_to_relaxed=record["rmsd_to_relaxed"],
        still_matches=None if relaxed is None else record["rmsd_to_relaxed"] is not None,
        cpu_time=record["relaxation_seconds"],
        wall_time=record["relaxation_wall_seconds"],
    )


def structure_of(record: Mapping[str, Any], column: str = GENERATED) -> Structure:
    """The crystal of a row, as generated or (`RELAXED`) as relaxed."""
    return read_block(record[column])[0]


def _cif(structure: Structure) -> str:
    return str(CifWriter(structure))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(float(value)) if isinstance(value, float) else str(value)


def _value(text: str, kind: type) -> Any:
    if text == "":
        return None
    return _BOOLEANS[text] if kind is bool else kind(text)
