"""Make the learned potential of an oxide system: frames, fit, search, frames of what was found.

Round 0 takes the data set as substituted, its relaxed crystals, shaken copies, and random
symmetric crystals. Each later round searches on the potential of the round before and adds frames
of what it found. All rounds go into one fit. A run that was killed goes on where it was; frames
and potentials of every round stay in the folder.

    python tools/train_potential.py --out potential_V-O
    python tools/train_potential.py --system Ti-O --out potential_Ti-O
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pymatgen.core import Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.relaxed import RelaxedSet, relaxed_path
from atomate2_vogen.data.systems import load_system
from atomate2_vogen.engines import Engine, load_engine
from atomate2_vogen.engines.frames import engine_frames
from atomate2_vogen.errors import InputError
from atomate2_vogen.files import write_atomically
from atomate2_vogen.potential.exploration import explore, shaken
from atomate2_vogen.potential.frames import Frame, Frames
from atomate2_vogen.potential.potential import Potential
from atomate2_vogen.potential.shipped import potential_path
from atomate2_vogen.potential.training import FitSettings, train_potential
from atomate2_vogen.structures.wyckoff import draw_crystal

CHUNK = 64

_NO_SETTINGS = ("out", "ship")

N_SHIPPED_FRAMES = 2000
"""Frames that come with the package beside a potential."""

OTHERS = 0.15
"""Share of the draws that goes to formulas of the system that are no targets."""


def main() -> None:
    """Run all rounds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--system", default="V-O", help="metal and anion")
    parser.add_argument("--engine", default="chgnet", help="energy model to repeat")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    parser.add_argument("--rounds", type=_whole, default=2, help="rounds of search")
    parser.add_argument("--draws", type=_whole, default=1500, help="random crystals per round")
    parser.add_argument("--epochs", type=_whole, default=20, help="of the first fit")
    parser.add_argument(
        "--more-epochs", type=_whole, default=8, help="of the fits that go on from it"
    )
    parser.add_argument("--last-epochs", type=_whole, default=24, help="of the last fit, from new")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--ship", action="store_true", help="put the result among the files of the package"
    )
    given = parser.parse_args()
    system = load_system(given.system)
    given.out.mkdir(parents=True, exist_ok=True)
    require_same_settings(
        given.out, {k: v for k, v in vars(given).items() if k not in _NO_SETTINGS}
    )
    begin = time.process_time()
    potential: Potential | None = None
    engine = load_engine(given.engine, system)
    frames = Frames(engine.scheme)
    for number in range(given.rounds + 1):
        path = given.out / f"frames-{number}.npz"
        if not path.is_file():
            crystals = (
                first_crystals(system, given.draws, given.seed)
                if potential is None
                else explore(potential, draws_of(system, given.draws), given.seed + number)
            )
            labelled(crystals, number, engine, path)
        frames = frames.joined(Frames.load(path))
        is_last = number == given.rounds
        path = given.out / f"potential-{number}.npz"
        if path.is_file():
            potential = Potential.load(path)
            continue
        # between rounds the fit goes on from the one before, with smaller steps; the last one is new
        goes_on = potential is not None and not is_last
        epochs = given.more_epochs if goes_on else given.last_epochs if is_last else given.epochs
        settings = FitSettings(
            epochs=epochs, learning_rate=2e-3 if goes_on else 4e-3, seed=given.seed
        )
        potential, report = train_potential(
            frames, system, settings=settings, start=potential if goes_on else None, progress=say
        )
        line = {
            "round": number,
            "potential_id": potential.potential_id,
            "frames": report.n_frames,
            "held_out": report.n_held_out,
            "low_energy_rmse_eV_per_atom": round(report.low_energy_rmse, 4),
            "energy_mae_eV_per_atom": round(report.energy_mae, 4),
            "force_mae_eV_per_A": round(report.force_mae, 4),
            "fit_cpu_s": round(report.cpu_time),
            "cpu_s_of_this_process": round(time.process_time() - begin),
        }
        print(json.dumps(line), flush=True)
        report_path = given.out / "report.jsonl"
        before = report_path.read_text("utf-8").splitlines() if report_path.is_file() else []
        # a run that was killed here has written the line of this round already
        lines = [*(one for one in before if json.loads(one)["round"] != number), json.dumps(line)]
        write_atomically(report_path, ("\n".join(lines) + "\n").encode())
        potential.save(path)
    if given.ship and potential is not None:
        ship(potential, frames, given.out / "report.jsonl", given.seed)


def _whole(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is no positive whole number")
    return value


def require_same_settings(folder: Path, settings: dict[str, object]) -> None:
    """Refuse to go on in a folder with other settings: its files would not belong together.

    Raises
    ------
    InputError
        Naming what differs.
    """
    path = folder / "settings.json"
    if path.is_file():
        before = json.loads(path.read_text("utf-8"))
        if different := [
            f"--{k.replace('_', '-')} {v}" for k, v in before.items() if settings[k] != v
        ]:
            raise InputError(
                f"{folder} was begun with {' '.join(different)}; go on with that, or give another "
                "folder"
            )
    else:
        write_atomically(path, (json.dumps(settings) + "\n").encode())


def ship(potential: Potential, frames: Frames, report: Path, seed: int) -> None:
    """Put potential, report, and frames for later training among the files of the package.

    The frames are drawn from all of them. A potential that goes on to learn from new frames alone
    would forget the rest.
    """
    path = potential_path(potential.system, potential.scheme)
    path.parent.mkdir(exist_ok=True)
    potential.save(path)
    write_atomically(path.with_suffix(".jsonl"), report.read_bytes())
    chosen = np.random.default_rng(seed).permutation(len(frames))[:N_SHIPPED_FRAMES]
    kept = Frames(frames.scheme, [frames.frames[number] for number in sorted(chosen.tolist())])
    kept.save(path.with_name(path.name.replace("potential-", "frames-")))


def draws_of(system: OxideSystem, n: int) -> dict[str, int]:
    """Draws per formula: most for the targets, some for the other formulas of the data set."""
    targets = system.target_formulas
    counts = {formula: round(n * (1 - OTHERS) / len(targets)) for formula in targets}
    pool = load_dataset(system)
    formulas, sizes = np.unique(pool.formulas(), return_counts=True)
    common = [
        str(formula)
        for formula in formulas[np.argsort(-sizes, kind="stable")]
        if formula not in targets and system.max_formula_units(str(formula)) > 0
    ][:8]
    return counts | {formula: max(1, round(n * OTHERS / len(common))) for formula in common}


def first_crystals(system: OxideSystem, n: int, seed: int) -> list[tuple[str, Structure]]:
    """Substituted and relaxed crystals, shaken copies, and random symmetric ones."""
    rng = np.random.default_rng(seed)
    pool = load_dataset(system)
    pool = pool.select(pool.is_distinct & (pool.n_atoms <= system.max_atoms))
    found = [("substituted", structure) for structure in pool.structures()]
    if relaxed_path(system).is_file():
        relaxed = RelaxedSet.load(relaxed_path(system))
        ends = [relaxed.structure(row) for row in range(len(relaxed))]
        found += [("relaxed", one) for one in ends if len(one) <= system.max_atoms]
    for _, structure in found[::2]:
        found.append(("shaken", shaken(structure, rng, float(rng.choice([0.05, 0.15])))))
    for formula, wanted in draws_of(system, n).items():
        draws = (draw_crystal(formula, system, rng)[1] for _ in itertools.count())
        sound = (structure for structure in draws if structure is not None)
        found += [("random", structure) for structure in itertools.islice(sound, wanted)]
    return found


def labelled(
    crystals: Sequence[tuple[str, Structure]], number: int, engine: Engine, path: Path
) -> None:
    """Write the frames of crystals; chunks that are done are kept beside until all are."""
    forces = engine_frames(engine)
    chunks = range(0, len(crystals), CHUNK)
    done: list[Frame] = []
    begin = time.monotonic()
    for start in chunks:
        part = path.with_name(f"{path.stem}-{start:06d}.part.npz")
        if not part.is_file():
            found = [
                frame
                for source, structure in crystals[start : start + CHUNK]
                for frame in forces([structure], f"{source} {number}")
            ]
            Frames(engine.scheme, found).save(part)
        done += Frames.load(part).frames
        if start // CHUNK % 10 == 0:
            share = (start + CHUNK) / len(crystals)
            left = (time.monotonic() - begin) * (1 / share - 1)
            print(f"round {number}: {len(done)} frames, {left / 60:.0f} min left", flush=True)
    Frames(engine.scheme, done).save(path)
    for start in chunks:
        path.with_name(f"{path.stem}-{start:06d}.part.npz").unlink()


def say(epoch: int, epochs: int, losses: Sequence[float]) -> None:
    """Print the losses of some epochs."""
    if epoch % 5 == 0 or epoch == epochs:
        energy, force, _ = losses
        print(
            f"  epoch {epoch}/{epochs}: {energy * 1e3:.1f} meV/atom, {force:.3f} eV/Å", flush=True
        )


if __name__ == "__main__":
    main()
