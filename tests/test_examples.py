"""The examples do what they say: what they print is what is in the stores afterwards."""

from __future__ import annotations

import importlib
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import judged_documents
import numpy as np
import pytest
import standin_gpaw
import vasp_stand_in
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire
from pymatgen.core import SETTINGS
from tiny_model import eager
from train_tiny import SHORT

from atomate2_vogen.energy_rounding import at_most
from atomate2_vogen.jobs import dataset
from atomate2_vogen.models.networks import presets
from atomate2_vogen.schemas import (
    CalculationDoc,
    ElectronicDoc,
    PaperDoc,
    PhononDoc,
    ReferenceDoc,
    StabilityDoc,
    TrainingDoc,
)
from atomate2_vogen.stores import VogenStores

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


def run(script, *arguments, folder):
    """What a script prints, in a process of its own."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / script), *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    ).stdout


@pytest.fixture
def imported(monkeypatch, tmp_path):
    """Scripts as modules, as a worker would import them; the heavy libraries are here already."""
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.chdir(tmp_path)
    return importlib.import_module


@pytest.fixture
def gpaw(monkeypatch):
    """A stand-in for GPAW, which answers in closed form."""
    command = shlex.join([sys.executable, standin_gpaw.__file__])
    monkeypatch.setenv("GPAW_COMMAND", command)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_they_are_short_and_listed(script):
    code = [line for line in script.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert 20 <= len(code) <= 70
    assert f"`{script.name}`" in (EXAMPLES / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_quickstart(tmp_path: Path):
    folder = tmp_path / "store"
    printed = run("quickstart.py", folder, folder=tmp_path)
    with VogenStores.open(folder) as stores:
        documents = stores.load(StabilityDoc)
    assert sorted(doc.formula for doc in documents) == ["V2O3", "VO2"]
    ranked = [doc for doc in documents if doc.state == "ranked"]
    assert ranked
    lines = [line for line in printed.splitlines() if "eV/atom above hull" in line]
    assert len(lines) == len(ranked)
    for doc in ranked:
        (line,) = [line for line in lines if line.startswith(doc.candidate_id)]
        assert float(line.split()[1]) == pytest.approx(doc.energy_above_hull, abs=6e-4)


@pytest.mark.slow
def test_train(monkeypatch, capsys, crystals, tmp_path: Path):
    """Here, with a slice of the data set and the smallest networks: the rest takes minutes."""
    labelling = SimpleNamespace(failures={}, n_reused=len(crystals))
    monkeypatch.setattr(dataset, "build_dataset", lambda *_, **__: (crystals, labelling))
    monkeypatch.setitem(presets.PRESETS, "short", SHORT)
    monkeypatch.chdir(tmp_path)
    with eager():
        runpy.run_path(str(EXAMPLES / "train.py"))["main"](str(tmp_path / "store"), "short")
    printed = capsys.readouterr().out
    assert "test_energy_mae" in printed
    assert "crystals from" in printed
    assert (tmp_path / "store" / "learning_curves.png").is_file()
    kept = {path.name for path in (tmp_path / "store" / "checkpoints").iterdir()}
    assert kept >= {"vae.npz", "energy.npz", "wgan.npz"}


@pytest.mark.slow
def test_compose(imported, gpaw, capsys, tmp_path: Path):
    imported("compose").main("store", "4")
    printed = capsys.readouterr().out
    with VogenStores.open(tmp_path / "store") as stores:
        calculations = stores.load(CalculationDoc)
        (bands,), (modes,) = stores.load(ElectronicDoc), stores.load(PhononDoc)
    lowest = min(calculations, key=lambda doc: doc.energy_per_atom)
    assert len(calculations) == 2
    assert bands.candidate_id == modes.candidate_id == lowest.candidate_id
    assert bands.electrons.character == "half-metal"  # as the stand-in has it
    assert f"{bands.candidate_id}  {bands.scheme}  half-metal" in printed
    assert f"{modes.candidate_id}  CHGNet-0.3.0  {modes.phonons.verdict}" in printed


@pytest.mark.slow
def test_screen_my_structures(imported, capsys, tmp_path: Path):
    (tmp_path / "cifs").mkdir()
    vasp_stand_in.rutile().to(filename=str(tmp_path / "cifs" / "rutile.cif"))
    titania = vasp_stand_in.rutile().replace_species({"V": "Ti"})
    titania.to(filename=str(tmp_path / "cifs" / "titania.cif"))
    imported("screen_my_structures").main("cifs", "store")
    printed = capsys.readouterr().out
    with VogenStores.open(tmp_path / "store") as stores:
        (doc,) = stores.load(StabilityDoc)
        assert len(stores.load(ReferenceDoc)) > 5
        assert len(stores.load(CalculationDoc)) == 1
    assert re.search(r"left out: .*titania\.cif.*Ti", printed)
    assert doc.known_as == "VO2 P4_2/mnm"
    line = f"rutile.cif: ranked {doc.initial_energy_above_hull} -> {doc.energy_above_hull} eV/atom"
    assert line in printed
    # the hull's own rutile, found again from a strained cell
    assert abs(doc.energy_above_hull) < 0.003 < doc.initial_energy_above_hull


@pytest.mark.slow
def test_train_on_my_data(imported, monkeypatch, capsys, crystals, tmp_path: Path):
    """Sixty crystals as CIFs with energies, one of which is missing."""
    (tmp_path / "cifs").mkdir()
    lines = ["file,energy_per_atom"]
    for index, energy in enumerate(crystals.energies[:60].tolist()):
        crystals.structure(index).to(filename=str(tmp_path / "cifs" / f"{index:03d}.cif"))
        lines.append(f"{index:03d}.cif,{energy}")
    (tmp_path / "energies.csv").write_text("\n".join(lines[:-1]) + "\n")
    monkeypatch.setitem(presets.PRESETS, "short", SHORT)
    with eager():
        imported("train_on_my_data").main("cifs", "energies.csv", "store", "short", "8")
    printed = capsys.readouterr().out
    assert re.search(r"left out: MissingEnergyError: .*059\.cif", printed)
    count = int(re.search(r"(\d+) crystals, \d+ distinct", printed)[1])
    assert count + printed.count("left out") == 60
    with VogenStores.open(tmp_path / "store") as stores:
        (training,) = stores.load(TrainingDoc)
    assert f"model {training.model_id}" in printed
    assert training.preset == SHORT.name
    assert len(training.history) >= 4  # both autoencoders, energies, WGAN


@pytest.mark.slow
def test_my_engine(imported, capsys, tmp_path: Path):
    imported("my_engine").main("store", "4")
    printed = capsys.readouterr().out
    with VogenStores.open(tmp_path / "store") as stores:
        references, (doc,) = stores.load(ReferenceDoc), stores.load(StabilityDoc)
    assert {reference.scheme for reference in references} == {doc.scheme} == {"CHGNet-r2SCAN"}
    assert {"V", "O2"} < {reference.formula for reference in references}
    # r2SCAN's absolute energies of vanadium lie far from PBE's -9.1 eV/atom
    (metal,) = [r for r in references if r.formula == "V"]
    assert abs(metal.energy_per_atom + 9.1) > 1
    assert f"{doc.candidate_id} CHGNet-r2SCAN {doc.energy_above_hull:.3f} eV/atom" in printed


@pytest.mark.slow
def test_vasp_fireworks(
    imported, launchpad, launchpad_file, database, capsys, monkeypatch, tmp_path
):
    """Submitted, run by the workers of the files beside the example, and collected."""
    if not vasp_stand_in.REAL:
        potcars = vasp_stand_in.write_potcars(tmp_path / "potcars")
        monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(potcars))
    main, engine = (
        imported("vasp_fireworks").main,
        vasp_stand_in.coarse(vasp_stand_in.engine("vasp")),
    )
    main(str(launchpad_file), database, engine)
    assert "added 4 Fireworks" in capsys.readouterr().out
    workers = [FWorker.from_file(str(f)) for f in EXAMPLES.glob("fireworks/my_fworker_*.yaml")]
    for _ in range(4):
        for worker in workers:
            rapidfire(launchpad, worker, max_loops=1, sleep_time=0.01, strm_lvl="CRITICAL")
    states = {d["state"] for d in launchpad.fireworks.find({}, {"state": 1})}
    assert states == {"COMPLETED"}
    main(str(launchpad_file), database, engine)
    assert "already there" in capsys.readouterr().out
    with VogenStores.open(database) as stores:
        (bands,), (calculation,) = stores.load(ElectronicDoc), stores.load(CalculationDoc)
    assert bands.candidate_id == calculation.candidate_id
    assert bands.scheme == "VASP-PBE+U(V=3.25)-V_pv"
    dft = list(launchpad.fireworks.find({"spec._category": "dft"}))
    assert len(dft) >= 3
    assert all(d["spec"]["_queueadapter"]["nodes"] == 1 for d in dft)


def test_query_and_plot(imported, database, capsys, tmp_path: Path):
    documents = [
        doc.model_copy(update={"structure": judged_documents.REFERENCES[0].structure})
        for doc in judged_documents.documents()
    ]
    with VogenStores.open(database, create=True) as stores:
        stores.save([*documents, *judged_documents.REFERENCES])
    imported("query_and_plot").main(database, "out")
    printed = capsys.readouterr().out
    ranked = [doc for doc in documents if doc.state == "ranked"]
    near = sorted(d.energy_above_hull for d in ranked if at_most(d.energy_above_hull, 0.1))
    assert 0 < len(near) <= 20
    assert f"{len(near)} of {len(ranked)} within 0.1 eV/atom" in printed
    shown = [float(line.split()[1]) for line in printed.splitlines()[1 : 1 + len(near)]]
    assert np.allclose(shown, near, atol=1e-5)
    assert len(list((tmp_path / "out").glob("*.cif"))) == len(near)
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {
        "hull.png",
        "formation_energy.png",
    }


@pytest.mark.slow
def test_paper(imported, gpaw, capsys, tmp_path: Path):
    """One crystal of each formula through every stage but phonons, which `compose` has."""
    imported("paper").main("store", "0.001", "gpaw", "")
    printed = capsys.readouterr().out
    with VogenStores.open(tmp_path / "store") as stores:
        (found,) = stores.job_store.query({"name": "fill_tables"}, load=True)
    made = PaperDoc.model_validate(found["output"])
    tables = {table.name: table for table in made.tables}
    assert tables["claims"].columns == ["claim", "paper", "wgan", "substitution"]
    assert tables["claims"].rows[0][:3] == ["generated", 451, 3]
    for table in made.tables:
        assert f"## {table.title}" in printed
    # bands are of the crystals that the table of the hull names, if they are within 0.1 eV/atom
    rows = [
        dict(zip(tables["below_hull"].columns, r, strict=True)) for r in tables["below_hull"].rows
    ]
    low = {
        row["lowest crystal"]
        for row in rows
        if row["sampler"] == "wgan"
        and row["lowest above judge's hull, eV/atom"] is not None
        and row["lowest above judge's hull, eV/atom"] <= 0.1
    }
    bands = {row[2] for row in tables["electronic"].rows} if "electronic" in tables else set()
    assert bands <= low
    figures = {path.stem for path in (tmp_path / "store" / "figures").iterdir()}
    assert {"fig_02_03_workflow", "fig_06_formation_energies", "fig_08_V2O3"} <= figures
    assert "fig_05_generators left out: no generator was trained" in printed
