"""The part of ``vogen confirm`` that calculates confirmed finds by a DFT code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atomate2_vogen.cli.progress import DFT_ENERGIES

if TYPE_CHECKING:
    from atomate2_vogen.cli.pipeline import Pipeline
    from atomate2_vogen.engines.cost import StaticCost
    from atomate2_vogen.flows import DftFlowMaker
    from atomate2_vogen.schemas import ConsensusDoc, DftDoc


@dataclass(frozen=True)
class DftOptions:
    """Options of ``--dft``.

    Parameters
    ----------
    engine
        Name of the engine of a DFT code.
    top
        Largest number of finds per formula.
    max_atoms
        Largest primitive cell.
    geometries
        Number of energy models whose crystals are calculated.
    """

    engine: str
    top: int
    max_atoms: int
    geometries: int


def dft_maker(run: Pipeline, options: DftOptions, schemes: Iterable[str]) -> DftFlowMaker:
    """Maker of the flow, with the reference phases that the store holds of energy models.

    Raises
    ------
    EngineCapabilityError
        If the engine is none of a DFT code.
    """
    from atomate2_vogen.engines import load_engine
    from atomate2_vogen.flows import DftFlowMaker
    from atomate2_vogen.schemas import ReferenceDoc

    held = {
        scheme: list(run.stores.iterate(ReferenceDoc, {"scheme": scheme})) for scheme in schemes
    }
    return DftFlowMaker(
        engine=load_engine(options.engine, run.system),
        system=run.system,
        geometries=options.geometries,
        max_atoms=options.max_atoms,
        references={scheme: documents for scheme, documents in held.items() if documents},
    )


def lowest_confirmed(
    documents: Sequence[ConsensusDoc], options: DftOptions
) -> dict[str, list[ConsensusDoc]]:
    """The lowest finds of each formula that all energy models confirm within 0.1 eV/atom."""
    from atomate2_vogen.flows.dft import n_primitive
    from atomate2_vogen.schemas import Verdict

    found: dict[str, list[ConsensusDoc]] = {doc.formula: [] for doc in documents}
    for doc in documents:  # lowest first within each formula
        fits = n_primitive(doc.structure) <= options.max_atoms
        if doc.verdict is Verdict.CONFIRMED and fits and len(found[doc.formula]) < options.top:
            found[doc.formula].append(doc)
    return found


def calculate_finds(
    run: Pipeline,
    documents: Sequence[ConsensusDoc],
    options: DftOptions,
    workers: int,
    *,
    only_cost: bool,
) -> list[DftDoc]:
    """Estimate what the calculations cost, run them, and write table, documents and picture.

    Returns
    -------
    list of DftDoc
        Known phases, then finds; empty with `only_cost`, and where no find is confirmed.
    """
    from atomate2_vogen.cli.exports import dft_csv, plain
    from atomate2_vogen.cli.pipeline import plural
    from atomate2_vogen.cli.tables import cost_table
    from atomate2_vogen.plotting import plot_parity

    schemes = {one.model.scheme for doc in documents for one in doc.opinions}
    maker = dft_maker(run, options, schemes)
    by_formula = lowest_confirmed(documents, options)
    for formula, found in by_formula.items():
        if not found:
            run.voice.warn(
                f"--dft: no find of {formula} with at most {options.max_atoms} atoms in its "
                "primitive cell is confirmed within 0.1 eV/atom by all energy models; left out"
            )
    finds = [doc for found in by_formula.values() for doc in found]
    if not finds:
        return []
    sizes = costs(maker, finds)
    run.voice.say(cost_table(sizes))
    run.voice.say(total_cost(sizes, workers))
    if only_cost:
        return []
    crystals = len({name for name, _, _ in sizes})
    ran = run.run(maker.make(finds), workers, {DFT_ENERGIES: crystals})
    made: list[Any] = ran.output
    run.report(ran, DFT_ENERGIES, f"{crystals} {plural('crystal', crystals)}")
    run.folder.write("dft.csv", dft_csv(made))
    listed = [plain(document) for document in made]
    run.folder.write("dft.json", json.dumps(listed, indent=1) + "\n")
    with run.folder.replacing("dft.png") as path:
        plot_parity(made, path)
    return made


def costs(
    maker: DftFlowMaker, finds: Sequence[ConsensusDoc]
) -> list[tuple[str, int, StaticCost | None]]:
    """Crystal, number of magnetic starts, and cost of one, for each geometry."""
    from atomate2_vogen.engines.cost import static_cost
    from atomate2_vogen.jobs.magnetism import magnetic_starts

    return [
        (
            crystal.name,
            len(magnetic_starts(structure, maker.magnetic_starts, maker.system)),
            static_cost(maker.engine, structure, maker.system),
        )
        for crystal in maker.crystals(finds)
        for structure in crystal.structures
    ]


def total_cost(sizes: Sequence[tuple[str, int, StaticCost | None]], workers: int) -> str:
    """Number of calculations, memory and time, in one line."""
    number = sum(starts for _, starts, _ in sizes)
    text = f"{number} self-consistent calculations"
    known = [(starts, cost) for _, starts, cost in sizes if cost is not None]
    if len(known) < len(sizes):
        return f"{text}; memory and time of this engine are not known"
    memory = max(cost.memory for _, cost in known)
    text += f", at most {memory:.1f} GiB each, {workers} at a time"
    times = [starts * cost.cpu_time for starts, cost in known if cost.cpu_time is not None]
    if len(times) < len(known):
        return f"{text}; their time depends on the machine and is not known"
    return f"{text}; about {sum(times) / 3600:.1f} CPU-hours in all, to a factor of two"
