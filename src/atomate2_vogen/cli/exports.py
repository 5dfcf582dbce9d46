"""What a person takes away from a run: CIFs, tables as CSV and JSON, pictures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from atomate2_vogen.cli.output import OutputFolder
from atomate2_vogen.stability.order import by_energy
from atomate2_vogen.structures.cif import candidate_cif, relaxed_cif

if TYPE_CHECKING:
    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.schemas import (
        CandidateDoc,
        ConsensusDoc,
        DftDoc,
        DftEnergy,
        MagneticStart,
        MetricsDoc,
        ReferenceDoc,
        RoundDoc,
        StabilityDoc,
    )

__all__ = [
    "candidate_cif",
    "consensus_csv",
    "dft_csv",
    "plain",
    "relaxed_cif",
    "stability_csv",
    "stability_json",
    "write_results",
]

STABILITY_COLUMNS = (
    "candidate_id",
    "formula",
    "natoms",
    "sampler",
    "model_id",
    "scheme",
    "hull_id",
    "state",
    "reason",
    "initial_formation_energy_per_atom",
    "formation_energy_per_atom",
    "initial_energy_above_hull",
    "energy_above_hull",
    "energy_above_joint_hull",
    "paper_class",
    "field_class",
    "imatgen_stable",
    "is_converged",
    "minimum_distance",
    "bonding_dimensionality",
    "empty_gap",
    "is_bulk",
    "space_group_symbol",
    "space_group_number",
    "is_unique",
    "duplicate_group",
    "is_novel",
    "known_as",
    "rmsd_to_relaxed",
)
"""Columns of the CSV table: the fields of `StabilityDoc` that fit into one cell."""

RESULTS = (
    "cifs/",
    "stability.csv",
    "stability.json",
    "metrics.json",
    "hull.png",
    "formation_energy.png",
)
"""Files that show the results of a run; a folder ends with a slash."""


def stability_csv(stability: Sequence[StabilityDoc], names: Mapping[str, str] | None = None) -> str:
    """Table of candidates, best first; with `names` a first column ``file``."""
    header = [*(["file"] if names is not None else []), *STABILITY_COLUMNS]
    rows = []
    for doc in by_energy(stability):
        first = [names.get(doc.candidate_id, "")] if names is not None else []
        rows.append([*first, *_stability_cells(doc)])
    return _table(header, rows)


def _stability_cells(doc: StabilityDoc) -> list[str]:
    content = doc.model_dump(mode="json", include=set(STABILITY_COLUMNS))
    return [_cell(content[column]) for column in STABILITY_COLUMNS]


def _table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """CSV text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def stability_json(stability: Sequence[StabilityDoc]) -> str:
    """Whole documents, best first, structures as pymatgen's dictionaries."""
    return json.dumps([plain(doc) for doc in by_energy(stability)], indent=1) + "\n"


def folder_of(name: str, n_files: int) -> str:
    """A folder as it is listed among what was written."""
    from atomate2_vogen.cli.pipeline import plural

    return f"{name}/ ({n_files} {plural('file', n_files)})"


def plain(document: Any) -> Any:
    """A document as plain JSON values."""
    from monty.json import jsanitize

    return jsanitize(document.model_dump(), strict=True, enum_values=True)


def write_results(
    folder: OutputFolder,
    system: OxideSystem,
    *,
    stability: Sequence[StabilityDoc],
    candidates: Iterable[CandidateDoc],
    references: Sequence[ReferenceDoc],
    names: Mapping[str, str] | None = None,
    metrics: MetricsDoc | None = None,
) -> list[str]:
    """Write CIFs, tables and pictures into an output folder, and remove those of earlier runs.

    Returns
    -------
    list of str
        Names of what was written, relative to the folder.
    """
    from atomate2_vogen.plotting.formation import plot_formation_energies
    from atomate2_vogen.plotting.hull import plot_hull

    by_id = {candidate.candidate_id: candidate for candidate in candidates}
    cifs = []
    for doc in stability:
        if text := relaxed_cif(doc, by_id.get(doc.candidate_id)):
            folder.write(f"{doc.candidate_id}.cif", text, "cifs")
            cifs.append(f"cifs/{doc.candidate_id}.cif")
    folder.write("stability.csv", stability_csv(stability, names))
    folder.write("stability.json", stability_json(stability))
    written = ["stability.csv", "stability.json"]
    if metrics is not None:
        folder.write("metrics.json", json.dumps(plain(metrics), indent=1) + "\n")
        written.append("metrics.json")
    if any(doc.paper_class is not None for doc in stability):
        with folder.replacing("hull.png") as path:
            plot_hull(stability, references, path, system)
        with folder.replacing("formation_energy.png") as path:
            plot_formation_energies(stability, path, system)
        written += ["hull.png", "formation_energy.png"]
    folder.remove_stale({*cifs, *written}, RESULTS)
    return [folder_of("cifs", len(cifs)), *written]


ROUND_COLUMNS = ("number", "seed", "sampler", "model_id", "scheme", "threshold")
"""First columns of the table of rounds: fields of `RoundDoc`."""


def rounds_csv(rounds: Sequence[RoundDoc]) -> str:
    """Table of the rounds of a loop."""
    limits = list(rounds[0].new) if rounds else []
    counts = ("n_sampled", "n_relaxed", "n_ranked")
    names = [f"new_within_{limit}" for limit in limits]
    last = ("finds", "p1", "replays", "learnt", "cpu_hours")
    rows = []
    for one in rounds:
        fields = [_cell(getattr(one, name)) for name in (*ROUND_COLUMNS, *counts)]
        new = [one.new[limit] for limit in limits]
        learnt = one.learnt.n_learnt if one.learnt else 0
        cells = [len(one.finds), one.n_p1, len(one.replays), learnt, _cell(one.cpu_hours)]
        rows.append([*fields, *new, *cells])
    return _table([*ROUND_COLUMNS, *counts, *names, *last], rows)


def finds_csv(rounds: Sequence[RoundDoc], stability: Sequence[StabilityDoc]) -> str:
    """Table of the finds of a loop: the round, then the columns of the table of candidates."""
    found = {name: one.number for one in rounds for name in one.finds}
    listed = by_energy([doc for doc in stability if doc.candidate_id in found])
    rows = ([found[doc.candidate_id], *_stability_cells(doc)] for doc in listed)
    return _table(["round", *STABILITY_COLUMNS], rows)


CONSENSUS_COLUMNS = (
    "candidate_id",
    "formula",
    "sampler",
    "model_id",
    "scheme",
    "verdict",
    "verdict_25mev",
    "largest_above_hull",
    "spread",
)
"""First columns of the table of verdicts: fields of `ConsensusDoc`."""

OPINION_COLUMNS = (
    "state",
    "energy_above_hull",
    "above_known_phase",
    "known_phase",
    "space_group_symbol",
    "rmsd",
    "left_basin",
)
"""Fields of `Opinion`, one column for each energy model."""


def consensus_csv(documents: Sequence[ConsensusDoc]) -> str:
    """Table of verdicts: one line per crystal, the opinion of each energy model beside."""
    engines = list(dict.fromkeys(o.model.engine for doc in documents for o in doc.opinions))
    names = [f"{engine} {column}" for engine in engines for column in OPINION_COLUMNS]
    rows = []
    for doc in documents:
        by_engine = {opinion.model.engine: opinion for opinion in doc.opinions}
        cells = [
            _cell(getattr(by_engine.get(engine), column, None))
            for engine in engines
            for column in OPINION_COLUMNS
        ]
        rows.append([*(_cell(getattr(doc, name)) for name in CONSENSUS_COLUMNS), *cells])
    return _table([*CONSENSUS_COLUMNS, *names], rows)


DFT_COLUMNS = (
    "crystal",
    "is_known",
    "formula",
    "scheme",
    "above_known_phase",
    "lowest_known_phase",
)
"""First columns of the table of DFT energies: fields of `DftDoc`."""

START_COLUMNS = ("name", "energy_per_atom", "order", "total_moment", "cpu_time", "error")
"""Fields of `MagneticStart`, the first as column ``start``."""


def dft_csv(documents: Sequence[DftDoc]) -> str:
    """Table of DFT energies: one line per self-consistent calculation, the models' beside."""
    models = list(dict.fromkeys(one.engine for doc in documents for one in doc.by_models))
    names = ["start", *START_COLUMNS[1:]]
    beside = [f"{model} above_known_phase" for model in models]
    rows = []
    for doc in documents:
        heights = {one.engine: one.above_known_phase for one in doc.by_models}
        first = [_cell(getattr(doc, column)) for column in DFT_COLUMNS]
        last = [_cell(heights.get(model)) for model in models]
        for energy in doc.energies:
            crystal = [str(len(energy.structure)), energy.geometry]
            for start in _starts(energy):
                cells = [_cell(getattr(start, column)) for column in START_COLUMNS]
                rows.append([*first, *crystal, *cells, *last])
    return _table([*DFT_COLUMNS, "natoms", "geometry", *names, *beside], rows)


def _starts(energy: DftEnergy) -> list[MagneticStart]:
    """The calculations of a geometry, a single one as well."""
    from atomate2_vogen.schemas import MagneticStart

    if energy.magnetic_starts:
        return energy.magnetic_starts
    state = {} if energy.magnetism is None else energy.magnetism.model_dump()
    return [
        MagneticStart(
            name=energy.magnetic_start or "",
            energy_per_atom=energy.energy_per_atom,
            error=energy.error,
            cpu_time=energy.cpu_time,
            **state,
        )
    ]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6f}" if isinstance(value, float) else str(value)
