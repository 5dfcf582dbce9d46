"""The jobs that choose crystals for the paper's figures, and fill its tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from jobflow import Flow, Job, OutputReference, Response, job

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import CountsError
from atomate2_vogen.jobs.characterisation import without_large
from atomate2_vogen.jobs.electronic import DATA as ELECTRONIC_DATA
from atomate2_vogen.jobs.later import join_lists
from atomate2_vogen.jobs.phonons import DATA as PHONON_DATA
from atomate2_vogen.jobs.placement import ANALYSIS, place, replacement
from atomate2_vogen.jobs.screening import TOLERANT
from atomate2_vogen.phonons.supercells import CONVERGENCE_SERIES, Supercell
from atomate2_vogen.schemas import (
    ConsensusDoc,
    DiscoveryDoc,
    ElectronicDoc,
    GanDoc,
    JobLink,
    PaperDoc,
    PaperTable,
    PhononDoc,
    StabilityDoc,
)
from atomate2_vogen.stability.paper_tables import (
    claims_table,
    classes_table,
    electronic_table,
    generator_table,
    hull_table,
    parameters_table,
    phonons_table,
)
from atomate2_vogen.stability.published import Published
from atomate2_vogen.stability.selection import best_per_formula
from atomate2_vogen.structures.matching import DistinctStructures


def select_new(
    discoveries: Sequence[DiscoveryDoc | OutputReference],
    top: int = 1,
    threshold: float = 0.1,
    max_atoms: int | None = None,
) -> Job:
    """Job whose output are the lowest new crystals of each discovery and formula.

    New crystals match no known crystal and no lower one of the same discovery; one that matches a
    crystal chosen from an earlier discovery is left out.

    Parameters
    ----------
    discoveries
        Outputs of `DiscoveryFlowMaker`, of one scheme.
    top
        Most crystals per discovery and formula.
    threshold
        Largest energy above hull in eV/atom.
    max_atoms
        Largest cell; None takes all.

    Raises
    ------
    CountsError, InputError
        If `top` or `max_atoms` is no whole number of at least 1, or the threshold is not finite.

    Examples
    --------
    >>> from atomate2_vogen.jobs import select_new
    >>> select_new([], top=2, threshold=0.05).name
    'select new'
    """
    best_per_formula([], top, threshold)  # refuses what is no number
    if max_atoms is not None and (not isinstance(max_atoms, int) or max_atoms < 1):
        raise CountsError(f"crystals of at most {max_atoms} atoms are asked for; give 1 or more")
    made: Job = _select_new(list(discoveries), top, threshold, max_atoms)
    made.name = "select new"
    made.config = TOLERANT
    place(made, ANALYSIS)
    return made


@job(data=True)
def _select_new(
    discoveries: list[DiscoveryDoc | None], top: int, threshold: float, max_atoms: int | None
) -> list[StabilityDoc]:
    distinct = DistinctStructures()
    chosen = []
    for made in filter(None, discoveries):
        small = [
            document
            for document in made.stability
            if document.is_novel
            and document.structure is not None
            and (max_atoms is None or len(document.structure) <= max_atoms)
        ]
        chosen += [
            document
            for document in best_per_formula(small, top, threshold)
            if document.structure is not None  # known above, but not to the type checker
            and distinct.twin_or_add(document.candidate_id, document.structure) is None
        ]
    return chosen


def fitting_supercells(formula: str, n_atoms: int, max_atoms: int) -> list[Supercell | None]:
    """The paper's supercells for a crystal, as far as they have no more atoms than allowed.

    Parameters
    ----------
    formula
        Of the crystal.
    n_atoms
        Of its cell. The paper's cells are of one to three formula units, so that its supercells of a
        larger cell may have too many atoms.
    max_atoms
        Limit to the supercell.

    Returns
    -------
    list
        For VO2 the series of Figs. S1 and S2, for other formulas one supercell; None where none
        fits: the engine's choice.

    Examples
    --------
    >>> from atomate2_vogen.jobs.paper import fitting_supercells
    >>> fitting_supercells("VO2", 9, 1000)
    [(3, 3, 3), (4, 4, 4), (5, 5, 4)]
    >>> fitting_supercells("VO2", 12, 1000), fitting_supercells("V2O5", 100, 1000)
    ([(3, 3, 3), (4, 4, 4)], [None])
    """
    paper = Published.values()
    published = paper.supercells.get(formula)
    wanted = [] if published is None else [published]
    if formula == paper.series_formula:
        wanted = list(dict.fromkeys([*CONVERGENCE_SERIES, *wanted]))
    fitting = [(a, b, c) for a, b, c in wanted if a * b * c * n_atoms <= max_atoms]
    return [*fitting] or [None]


@job
def phonons_of_best(finds: list[StabilityDoc], maker: Any) -> Response:
    """Replace itself by phonons: of the lowest of each formula in the paper's supercells.

    The others get the supercell that the Maker chooses.

    Parameters
    ----------
    finds
        Crystals, lowest first within each formula.
    maker
        A `PhononFlowMaker`.

    Returns
    -------
    Response
        Whose output is a list of `PhononDoc`.

    Examples
    --------
    >>> from atomate2_vogen import PhononFlowMaker
    >>> from atomate2_vogen.jobs import phonons_of_best
    >>> phonons_of_best([], PhononFlowMaker()).name
    'phonons_of_best'
    """
    seen: Counter[str] = Counter()
    flows = []
    for find in finds or []:
        seen[find.formula] += 1
        if find.structure is None:
            continue
        supercells: list[Supercell | None] = [maker.supercell]
        if seen[find.formula] == 1:
            n_atoms = len(find.structure)
            supercells = fitting_supercells(find.formula, n_atoms, maker.max_atoms)
        named = [supercell for supercell in supercells if supercell is not None]
        flows.append(maker.make_series(find, named) if named else maker.make([find]))
    if not flows:
        return Response(output=[])
    joined = join_lists([flow.output for flow in flows])
    made = Flow([*flows, joined], output=joined.output, name=maker.name)
    return Response(replace=replacement(made, shared=True))


@job(data=[["output", "tables"]], output_schema=PaperDoc)
def fill_tables(
    requested: dict[str, int],
    seed: int,
    scheme: str,
    system: OxideSystem,
    preset: str,
    *,
    discoveries: dict[str, DiscoveryDoc | None],
    gans: list[GanDoc | None],
    opinions: list[ConsensusDoc] | None = None,
    phonons: list[PhononDoc] | None = None,
    electronic: list[ElectronicDoc] | None = None,
    sources: dict[str, str],
) -> PaperDoc:
    """The paper's tables from what the stages found.

    Parameters
    ----------
    requested
        Crystals asked for of each sampler, by formula.
    seed
        Random seed.
    scheme
        Energy scale of the model that judges.
    system
        Oxide system.
    preset
        Of the networks.
    discoveries
        By sampler; empty where nothing was relaxed.
    gans, opinions, phonons, electronic
        What the other stages found; None or empty where they did not run.
    sources
        Identifiers of the jobs whose outputs these are, by name.

    Returns
    -------
    PaperDoc
        With a table for each stage that ran.

    Examples
    --------
    >>> from atomate2_vogen import VANADIUM
    >>> from atomate2_vogen.jobs import fill_tables
    >>> nothing = {"discoveries": {}, "gans": [], "sources": {}}
    >>> fill_tables({"VO2": 1}, 1, "CHGNet-0.3.0", VANADIUM, "paper", **nothing).name
    'fill_tables'
    """
    paper = Published.values()
    made = {name: found for name, found in discoveries.items() if found is not None}
    tables: list[PaperTable] = [parameters_table(paper, model_parameters(preset, system, made))]
    trained = [gan for gan in gans if gan is not None]
    if trained:
        tables.append(generator_table(paper, trained))
    if made:
        tables += [
            classes_table(paper, made),
            hull_table(paper, made, opinions or [], system),
            claims_table(paper, made, electronic or [], opinions or [], system),
        ]
    if phonons:
        tables.append(phonons_table(paper, [without_large(d, PHONON_DATA) for d in phonons]))
    if electronic:
        small = [without_large(document, ELECTRONIC_DATA) for document in electronic]
        tables.append(electronic_table(paper, small))
    return PaperDoc(
        requested=requested,
        seed=seed,
        samplers=list(discoveries),
        scheme=scheme,
        tables=tables,
        jobs={name: JobLink(uuid=uuid) for name, uuid in sources.items()},
    )


def model_parameters(
    preset: str, system: OxideSystem, discoveries: Mapping[str, DiscoveryDoc]
) -> dict[str, str]:
    """Table 1's parameters of the shipped networks and of this run, as text."""
    from atomate2_vogen.data.dataset import load_dataset
    from atomate2_vogen.models.networks.presets import get_preset

    found = get_preset(preset)
    sites, lattice = found.sites, found.lattice
    crystals = load_dataset(system)
    generated = [f"{made.n_candidates} ({name})" for name, made in discoveries.items()]
    return {
        "voxels of the sites": "×".join([str(sites.grid)] * 3),
        "voxels of the lattice": "×".join([str(lattice.grid)] * 3),
        "latents of the sites": str(sites.latent),
        "latents of the lattice": str(lattice.latent),
        "latents of the WGAN": f"{sites.latent + lattice.latent}, from {found.wgan.noise} of noise",
        "training crystals": str(len(crystals)),
        "generated crystals": ", ".join(generated) or "none yet",
    }
