"""Measures of energy models against closed forms, and tables of verdicts against their rows."""

from __future__ import annotations

import confirm_finds
import energy_models
import pytest
from jobflow import run_locally
from pymatgen.core import Lattice, Structure
from records import read_records, stability_of

from atomate2_vogen import VANADIUM, ConfirmFlowMaker, VogenStores, load_references
from atomate2_vogen.engines import load_engine, reference_structures
from atomate2_vogen.schemas import ConsensusDoc, EnergyModel, Opinion, Verdict

CHGNET = load_references("CHGNet-0.3.0")


def test_a_reaction_is_counted_per_atom():
    # V2O3 (5 atoms) + V2O5 (7) -> 4 VO2 (12)
    energies = {"V2O3": -2.0, "V2O5": -4.0, "VO2": -4.0}
    found = energy_models.reaction_energy(energies, {"V2O3": 1, "V2O5": 1}, "VO2")
    assert found == pytest.approx(-4.0 + (5 * 2.0 + 7 * 4.0) / 12)


def test_measured_reactions_are_those_of_the_notes():
    found = energy_models.measured_reactions()
    assert found["V2O3 + V2O5 -> 4 VO2"] == pytest.approx(-0.0745, abs=0.003)


def test_the_order_of_the_source_itself_is_perfect():
    source = {phase.source: phase.source_stability for phase in reference_structures(VANADIUM)}
    copies = [
        one.model_copy(update={"energy_per_atom": source[one.source]}, deep=True) for one in CHGNET
    ]
    found = energy_models.order_of_phases(copies, VANADIUM)
    assert found["rank_correlation"] == pytest.approx(1)
    assert found["mean_absolute_difference"] == pytest.approx(0)
    shifted = [
        one.model_copy(update={"energy_per_atom": -source[one.source]}, deep=True) for one in CHGNET
    ]
    assert energy_models.order_of_phases(shifted, VANADIUM)["rank_correlation"] < 0


def test_models_are_the_force_fields():
    names = energy_models.models()
    assert {"chgnet", "diep", "sevennet", "sevennet-l3i5", "chgnet-r2scan"} == set(names)
    assert all(load_engine(name).functional for name in names)


def consensus(number, heights, verdict):
    crystal = Structure(Lattice.cubic(3), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return ConsensusDoc(
        consensus_id=f"VO-{number}|a",
        candidate_id=f"VO-{number}",
        scheme="a",
        formula="VO",
        chemsys="O-V",
        sampler="random",
        model_id="none",
        structure=crystal,
        opinions=[
            Opinion(
                model=EnergyModel(engine=name, scheme=name),
                state="failed" if height is None else "ranked",
                energy_above_hull=height,
                left_basin=False,
                cpu_time=36.0,
                structure=crystal,
            )
            for name, height in zip(("first", "other"), heights, strict=True)
        ],
        verdict=verdict,
    )


def test_the_table_counts_its_rows(tmp_path):
    documents = [
        consensus(1, (0.01, 0.02), "confirmed"),
        consensus(2, (0.02, 0.12), "refuted"),
        consensus(3, (0.05, 0.09), "confirmed"),
        consensus(4, (0.09, None), "undecided"),
    ]
    path = tmp_path / "search.csv.gz"
    path.write_bytes(confirm_finds.rows_of(documents))
    text = confirm_finds.markdown({"search": confirm_finds.read(path)})
    # within 0.1: 2 of 4 agree and one gives no answer; within 0.025: one of the two claimed
    assert "| other | 0.1 | 2 of 4 |" in text
    assert "| other | 0.025 | 1 of 2 |" in text
    assert "Within 0.1 eV/atom by first 4: 2 confirmed, 1 refuted, 1 undecided." in text
    assert "CPU-hours: other 0.04." in text


def test_a_crystal_that_chgnet_alone_places_near_the_hull_is_refuted(tmp_path):
    """CHGNet: 0.022 eV/atom above its hull; SevenNet-l3i5 0.047, DIEP 0.033."""
    table = confirm_finds.BENCHMARK / "search" / "candidates.csv.gz"
    (record,) = [r for r in read_records(table) if r["candidate_id"] == "V2O5-37c03b778cf4"]
    maker = ConfirmFlowMaker(engines=[load_engine("sevennet-l3i5"), load_engine("diep")])
    flow = maker.make([stability_of(record)])
    with VogenStores.memory() as stores:
        run_locally(flow, store=stores.job_store, root_dir=tmp_path, log=False, ensure_success=True)
        (found,) = stores.job_store.get_output(flow.output.uuid, load=True)
    document = ConsensusDoc.model_validate(found)
    assert document.opinions[0].energy_above_hull == pytest.approx(
        record["energy_above_hull"], abs=1e-4
    )
    heights = [opinion.energy_above_hull for opinion in document.opinions]
    assert heights == [pytest.approx(height, abs=3e-3) for height in (0.022, 0.047, 0.033)]
    assert not any(opinion.left_basin for opinion in document.opinions)
    assert document.verdict_25mev is Verdict.REFUTED
    # all three agree that it is not far above
    assert document.verdict is Verdict.CONFIRMED
