"""The paper's tables with the numbers of a run beside the published ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.energy_rounding import as_printed, at_most
from atomate2_vogen.schemas import (
    ConsensusDoc,
    DiscoveryDoc,
    ElectronicCharacter,
    ElectronicDoc,
    GanDoc,
    PaperClass,
    PaperTable,
    PhononDoc,
    Proportion,
    SpinChannel,
    StabilityDoc,
    StabilityState,
    Verdict,
)
from atomate2_vogen.schemas.paper import TableCell
from atomate2_vogen.stability.materials_project import MaterialsProjectHull, is_on_scale
from atomate2_vogen.stability.published import ALL, Published
from atomate2_vogen.stability.statistics import proportion

CRITERIA: Mapping[str, tuple[str, Callable[[StabilityDoc], bool]]] = {
    "imatgen": ("E_f ≤ 0.5 eV/atom (iMatGen)", lambda doc: bool(doc.imatgen_stable)),
    "negative": (
        "E_f < 0",
        lambda doc: (
            doc.formation_energy_per_atom is not None
            and as_printed(doc.formation_energy_per_atom) < 0
        ),
    ),
    "stable": ("stable", lambda doc: doc.paper_class is PaperClass.STABLE),
    "metastable": ("metastable", lambda doc: doc.paper_class is PaperClass.METASTABLE),
}
"""Columns of the paper's Table 2: label, and whether a ranked crystal counts."""

HALF_METALLIC = (ElectronicCharacter.HALF_METAL, ElectronicCharacter.HALF_SEMICONDUCTOR)
FIND_LIMITS = (0.1, 0.025)
"""eV/atom above hull within which crystals are counted as finds."""

Discoveries = Mapping[str, DiscoveryDoc]
"""What each sampler's crystals came to, by name of the sampler."""


def ranked_of(stability: Sequence[StabilityDoc], formula: str = ALL) -> list[StabilityDoc]:
    """Ranked crystals of a formula, or of all."""
    return [
        doc
        for doc in stability
        if doc.state is StabilityState.RANKED and formula in {ALL, doc.formula}
    ]


def new_crystals(stability: Sequence[StabilityDoc], formula: str = ALL) -> list[StabilityDoc]:
    """Ranked crystals that match neither each other nor a known one, lowest first."""
    found = [d for d in ranked_of(stability, formula) if d.is_unique and d.is_novel]
    return sorted(found, key=lambda d: (_height(d), d.candidate_id))


def count_class(
    stability: Sequence[StabilityDoc], requested: Mapping[str, int], formula: str, column: str
) -> Proportion:
    """One cell of Table 2: a share of the crystals that were asked for.

    Parameters
    ----------
    stability
        Judged crystals of one sampler.
    requested
        Number of crystals asked for, by formula.
    formula
        One of them, or ``all``.
    column
        Key of `CRITERIA`.
    """
    counts = CRITERIA[column][1]
    total = sum(requested.values()) if formula == ALL else requested.get(formula, 0)
    return proportion(sum(map(counts, ranked_of(stability, formula))), total)


def parameters_table(paper: Published, ours: Mapping[str, str]) -> PaperTable:
    """Table 1: sizes of the networks and of the data."""
    rows: list[list[TableCell]] = [
        [key, text, ours.get(key)] for key, text in paper.parameters.items()
    ]
    return PaperTable(
        name="table_1",
        title="Table 1: model parameters and size of the data",
        columns=["parameter", "paper", "this run"],
        rows=rows,
        notes=[
            (
                "The paper's training crystals are prototypes with duplicates; here those with edges "
                "up to 10 Å after substitution are counted, in both orders of the elements."
            )
        ],
    )


def classes_table(paper: Published, discoveries: Discoveries) -> PaperTable:
    """Table 2 for every sampler, of the crystals asked for."""
    formulas = list(dict.fromkeys(f for made in discoveries.values() for f in _requested(made)))
    rows: list[list[TableCell]] = []
    for formula in [*formulas, ALL]:
        published = paper.counts.get(formula)
        for column, (label, _) in CRITERIA.items():
            theirs = (
                None if published is None else proportion(published[column], published["total"])
            )
            ours = [
                count_class(made.stability, _requested(made), formula, column)
                for made in discoveries.values()
            ]
            rows.append([formula, label, theirs, *ours])
    return PaperTable(
        name="table_2",
        title="Table 2: generated crystals by stability",
        columns=["formula", "class", "paper", *discoveries],
        rows=rows,
        notes=[
            (
                f"Paper: {paper.method}. Here: {_schemes(discoveries)}, after relaxation; crystals that "
                "the sampler did not deliver, and those that did not converge to a bulk crystal, count "
                "in the whole alone."
            ),
            "stable, metastable: formation energy < 0 and ≤ 0.3, 0.5 eV/atom above hull.",
        ],
    )


def hull_table(
    paper: Published,
    discoveries: Discoveries,
    opinions: Sequence[ConsensusDoc],
    system: OxideSystem = VANADIUM,
) -> PaperTable:
    """Crystals below the hull, and the lowest new one of each formula and sampler."""
    asked = {document.candidate_id: document for document in opinions}
    rows: list[list[TableCell]] = []
    offsets: dict[str, float] = {}
    for formula in dict.fromkeys(f for made in discoveries.values() for f in _requested(made)):
        for name, made in discoveries.items():
            new = new_crystals(made.stability, formula)
            heights = [_height(document) for document in new]
            below_mp = heights_on_materials_project(new, system)
            lowest = new[0] if new else None
            if below_mp:
                offsets[formula] = below_mp[0] - heights[0]
            rows.append(
                [
                    formula,
                    name,
                    paper.below_hull.get(formula),
                    sum(as_printed(height) < 0 for height in heights),
                    None if below_mp is None else sum(as_printed(h) < 0 for h in below_mp),
                    as_printed(heights[0]) if heights else None,
                    None if not below_mp else as_printed(min(below_mp)),
                    None if lowest is None else lowest.candidate_id,
                    None if lowest is None else _opinion(asked.get(lowest.candidate_id)),
                ]
            )
    return PaperTable(
        name="below_hull",
        title="New crystals below the hull (paper: section 3.4, Figs. 7-9)",
        columns=[
            "formula",
            "sampler",
            "paper, below MP's hull",
            "below judge's hull",
            "below MP's hull",
            "lowest above judge's hull, eV/atom",
            "lowest above MP's hull, eV/atom",
            "lowest crystal",
            "other models about it",
        ],
        rows=rows,
        notes=[
            (
                "New: unique among the sampler's crystals and no match of a known crystal. Judge: "
                f"{_schemes(discoveries)} on its own relaxed reference phases."
            ),
            *_offset_note(offsets),
            f"MP: {_vintage(system)}: one entry per compound, so that phases between these are missing.",
        ],
    )


def _offset_note(offsets: Mapping[str, float]) -> list[str]:
    """By how much the two hulls differ: the judge's error for known phases, for the most part."""
    if not offsets:
        return []
    listed = ", ".join(f"{name} {as_printed(offset):+.3f}" for name, offset in offsets.items())
    return [
        (
            f"The judge's hull lies above MP's (eV/atom): {listed}. So do the known phases by the "
            "judge's energies; heights above the judge's own hull are those to compare."
        )
    ]


def heights_on_materials_project(
    crystals: Sequence[StabilityDoc], system: OxideSystem = VANADIUM
) -> list[float] | None:
    """Energies above the Materials Project's hull, eV/atom; None where scales differ."""
    from atomate2_vogen.errors import MissingReferenceError

    if any(not is_on_scale(document.scheme) for document in crystals):
        return None
    try:
        hull = MaterialsProjectHull.bundled(system)
    except MissingReferenceError:
        return None
    return [
        hull.height(document.formula, document.energy_per_atom, document.scheme)
        for document in crystals
        if document.energy_per_atom is not None
    ]


def generator_table(paper: Published, gans: Sequence[GanDoc]) -> PaperTable:
    """What decodes from the latents of GAN and WGAN: the claim behind Fig. 5."""
    rows: list[list[TableCell]] = []
    for gan in gans:
        loss = gan.history["loss"]
        rows.append(
            [
                gan.kind,
                paper.generator_steps,
                gan.steps,
                round(loss[0], 3),
                round(loss[-1], 3),
                round(_roughness(loss), 3),
                gan.decoded.get("exact_composition"),
                gan.decoded.get("sound"),
            ]
        )
    return PaperTable(
        name="generators",
        title="Fig. 5: GAN and WGAN trained alike",
        columns=[
            "generator",
            "paper, steps",
            "steps",
            "loss, first",
            "loss, last",
            "mean change between points",
            "latents that decode to the formula",
            "with atoms apart, too",
        ],
        rows=rows,
        notes=[
            (
                "Losses are means over equal numbers of steps; those of a GAN (cross-entropy) and of a "
                "WGAN (the critic's score) are no common scale."
            ),
            "Both start from noise alone, as in the paper; no filter chooses among latents.",
        ],
    )


def phonons_table(paper: Published, phonons: Sequence[PhononDoc]) -> PaperTable:
    """Phonons of the best new crystal of each formula, with the paper's supercells."""
    rows: list[list[TableCell]] = []
    for document in phonons:
        summary = document.phonons
        cells = paper.supercells.get(document.formula)
        rows.append(
            [
                document.formula,
                paper.phonons.get(document.formula),
                None if cells is None else "×".join(map(str, cells)),
                document.candidate_id,
                document.requested_supercell.replace("x", "×"),
                None if summary is None else summary.n_atoms_supercell,
                document.error if summary is None else summary.verdict.value,
                None if summary is None else round(summary.lowest_frequency, 2) + 0.0,
                None if summary is None else round(100 * summary.imaginary_fraction, 2),
            ]
        )
    engines = ", ".join(dict.fromkeys(document.scheme for document in phonons)) or "–"
    weaknesses = dict.fromkeys(d.known_weakness for d in phonons if d.known_weakness)
    return PaperTable(
        name="phonons",
        title="Figs. 10-12, S1, S2: phonons of the best new crystals",
        columns=[
            "formula",
            "paper",
            "paper, supercell",
            "crystal",
            "supercell",
            "atoms",
            "verdict",
            "lowest frequency, THz",
            "imaginary modes, %",
        ],
        rows=rows,
        notes=[f"Forces: {engines}.", *(f"{text}." for text in weaknesses)],
    )


def electronic_table(paper: Published, electronic: Sequence[ElectronicDoc]) -> PaperTable:
    """Gaps by spin and magnetic order of the best new crystals."""
    rows: list[list[TableCell]] = []
    for document in electronic:
        found = document.electrons
        rows.append(
            [
                document.formula,
                paper.electronic.get(document.formula),
                document.candidate_id,
                document.error if found is None else found.character.value,
                None if found is None else _gap(found.up),
                None if found is None else _gap(found.down),
                None
                if found is None or found.total_moment is None
                else round(found.total_moment, 2) + 0.0,
            ]
        )
    engines = ", ".join(dict.fromkeys(document.scheme for document in electronic)) or "–"
    return PaperTable(
        name="electronic",
        title="Figs. 13-15: electronic structure of the best new crystals",
        columns=[
            "formula",
            "paper",
            "crystal",
            "character",
            "gap up, eV",
            "gap down, eV",
            "moment, μB/cell",
        ],
        rows=rows,
        notes=[f"Electrons: {engines}; the lowest of the magnetic starts that were calculated."],
    )


def claims_table(
    paper: Published,
    discoveries: Discoveries,
    electronic: Sequence[ElectronicDoc],
    opinions: Sequence[ConsensusDoc],
    system: OxideSystem = VANADIUM,
) -> PaperTable:
    """The abstract's claims: stable crystals, crystals below the hull, half metals."""
    requested = {name: _requested(made) for name, made in discoveries.items()}
    totals = {name: sum(counts.values()) for name, counts in requested.items()}
    everything = paper.counts[ALL]
    rows: list[list[TableCell]] = [
        ["generated", everything["total"], *(made.n_candidates for made in discoveries.values())]
    ]
    for column, label in (("stable", "stable"), ("metastable", "metastable")):
        rows.append(
            [
                label,
                proportion(everything[column], everything["total"]),
                *(
                    count_class(made.stability, requested[name], ALL, column)
                    for name, made in discoveries.items()
                ),
            ]
        )
    for limit in FIND_LIMITS:
        counted = [
            proportion(
                sum(at_most(_height(d), limit) for d in new_crystals(made.stability)), totals[name]
            )
            for name, made in discoveries.items()
        ]
        rows.append([f"unique, new, ≤ {limit:g} eV/atom above hull", None, *counted])
    below: list[TableCell] = [
        proportion(
            sum(as_printed(_height(d)) < 0 for d in new_crystals(made.stability)), totals[name]
        )
        for name, made in discoveries.items()
    ]
    theirs = proportion(sum(paper.below_hull.values()), everything["total"])
    rows.append(["new crystals below the judge's hull", theirs, *below])
    headline: list[TableCell] = []
    formula = paper.headline_formula
    for name, made in discoveries.items():
        total = requested[name].get(formula, 0)
        heights = heights_on_materials_project(new_crystals(made.stability, formula), system)
        headline.append(
            None
            if heights is None or not total
            else proportion(sum(as_printed(h) < 0 for h in heights), total)
        )
    published = proportion(paper.below_hull[formula], paper.counts[formula]["total"])
    rows.append([f"new {formula} below MP's hull", published, *headline])
    if opinions:
        of_sampler = [[d for d in opinions if d.sampler == name] for name in discoveries]
        agreed: list[TableCell] = [
            proportion(sum(d.verdict is Verdict.CONFIRMED for d in asked), len(asked))
            for asked in of_sampler
        ]
        rows.append(["confirmed by other energy models, of those asked about", None, *agreed])
    if electronic:
        samplers = {
            doc.candidate_id: name for name, made in discoveries.items() for doc in made.stability
        }
        halves: list[TableCell] = []
        for name in discoveries:
            looked = [
                doc
                for doc in electronic
                if doc.electrons is not None and samplers.get(doc.candidate_id) == name
            ]
            count = sum(d.electrons.character in HALF_METALLIC for d in looked if d.electrons)
            halves.append(proportion(count, len(looked)) if looked else None)
        rows.append(
            [
                "half metals and half semiconductors, of those calculated",
                proportion(paper.half_metals, len(paper.electronic)),
                *halves,
            ]
        )
    return PaperTable(
        name="claims",
        title="The abstract's claims",
        columns=["claim", "paper", *discoveries],
        rows=rows,
        notes=[
            (
                "Shares of the crystals asked for unless stated; intervals are Wilson's at 95 %, for "
                "draws that do not depend on each other."
            ),
            (
                "The paper does not say how many of its 451 crystals are the same; novelty is not "
                "tested there."
            ),
        ],
    )


def _requested(made: DiscoveryDoc) -> dict[str, int]:
    return dict(made.sample.get("requested", {}))


def _height(document: StabilityDoc) -> float:
    """Energy above hull of a ranked crystal, which has one."""
    return float("inf") if document.energy_above_hull is None else document.energy_above_hull


def _schemes(discoveries: Discoveries) -> str:
    return ", ".join(dict.fromkeys(made.scheme for made in discoveries.values())) or "–"


def _vintage(system: OxideSystem) -> str:
    from atomate2_vogen.errors import MissingReferenceError

    try:
        return MaterialsProjectHull.bundled(system).vintage
    except MissingReferenceError as error:
        return str(error)


def _roughness(values: Sequence[float]) -> float:
    """Mean absolute change from one point to the next."""
    changes = [abs(b - a) for a, b in itertools.pairwise(values)]
    return sum(changes) / len(changes) if changes else 0.0


def _opinion(document: ConsensusDoc | None) -> str | None:
    """Energies above their own hulls of the further models, and the verdict."""
    if document is None:
        return None
    heights = [
        f"{one.model.engine} "
        + (one.state.value if one.energy_above_hull is None else f"{one.energy_above_hull:+.3f}")
        for one in document.opinions[1:]
    ]
    verdict = "not asked" if document.verdict is None else document.verdict.value
    return f"{', '.join(heights)}: {verdict}"


def _gap(channel: SpinChannel | None) -> TableCell:
    """Gap of a channel in eV; a channel without one in a word."""
    if channel is None:
        return None
    return round(channel.gap, 2) if channel.gap > 0 else channel.state.value
