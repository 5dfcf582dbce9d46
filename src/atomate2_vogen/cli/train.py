"""``vogen train``: data set and networks, with the state kept after every epoch."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from atomate2_vogen.cli import options
from atomate2_vogen.cli.sampling_options import MODEL_FILE

if TYPE_CHECKING:
    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.schemas import TrainingDoc

DOCUMENT = "training.json"
FIGURE = "learning_curves.png"


@click.command(short_help="Train the networks; continues a training that was stopped.")
@options.system_option
@click.option(
    "--preset",
    type=click.Choice(options.PRESETS),
    default=options.PRESETS[0],
    show_default=True,
    help="Size of the networks and length of the training.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Random seed for initial weights, batch order and noise.",
)
@click.option(
    "--workers",
    "-j",
    type=click.IntRange(1),
    default=options.default_workers,
    show_default="the setting WORKERS, else usable cores",
    help="Number of threads for training.",
)
@options.json_option
@options.out_option("vogen_training")
def train(
    *, system: OxideSystem | None, preset: str, seed: int, workers: int, as_json: bool, out: Path
) -> None:
    """Train the networks on crystals substituted into known prototypes.

    The output folder holds the trained networks (model.zip), the losses of every epoch
    (training.json, learning_curves.png) and a record of the run (run.json). The state is saved in
    checkpoints/ after every epoch: after Ctrl-C, a kill or a power cut the same command continues
    and ends with the same networks.

    \b
    Examples:
      vogen train
      vogen train --preset paper --seed 1 --out paper_1
      vogen train --system Ti-O --out titanium
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from atomate2_vogen import __version__
    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.cli.session import open_run

    voice = Voice(quiet=as_json)
    # read when Keras is imported, which nothing has done yet
    os.environ.setdefault("VOGEN_THREADS", str(workers))
    identity = {"version": __version__, "preset": preset, "seed": seed}
    with open_run(out, "train", identity, voice, system) as run, _lines(voice):
        from atomate2_vogen.cli.generation import train as run_training
        from atomate2_vogen.data.artefact import read_artefact
        from atomate2_vogen.plotting.training import plot_training

        document, _ = run_training(run, preset, seed)
        run.folder.write(MODEL_FILE, read_artefact(document.artefact))
        content = document_json(document)
        run.folder.write(DOCUMENT, content)
        with run.folder.replacing(FIGURE) as draft:
            plot_training(document, draft)
        if as_json:
            click.echo(content, nl=False)
        else:
            _print(voice, document, run.folder.path)


def document_json(document: TrainingDoc) -> str:
    """The document as a file beside the networks, which are not in it again."""
    from atomate2_vogen.cli.exports import plain

    text = plain(document)
    # JSON knows no infinity, which an error is where nothing could be decoded
    text["metrics"] = {k: v if math.isfinite(v) else None for k, v in text["metrics"].items()}
    text["artefact"] = {"filename": MODEL_FILE, "sha256": document.artefact.sha256}
    return json.dumps(text, indent=1) + "\n"


@contextmanager
def _lines(voice: Voice) -> Iterator[None]:
    """Losses line by line where there is no terminal that could show bars."""
    if voice.err.is_terminal:
        yield
        return
    logger = logging.getLogger("atomate2_vogen.jobs.training")
    handler = logging.Handler()
    handler.emit = lambda record: voice.say(f"    {record.getMessage()}")  # type: ignore[method-assign]
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _print(voice: Voice, document: TrainingDoc, folder: Path) -> None:
    """What was reached on held-out crystals, and where the files are."""
    from rich.table import Table

    shown = {
        "test_exact_composition": ("Reconstruction: exact composition", "{:.1%}"),
        "test_match": ("Reconstruction: match", "{:.1%}"),
        "test_length_mae": ("Lattice lengths, mean error (Å)", "{:.3f}"),
        "test_angle_mae": ("Lattice angles, mean error (°)", "{:.2f}"),
        "test_energy_mae": ("Energy, mean error (eV/atom)", "{:.3f}"),
        "test_energy_mae_composition_mean": ("… by composition alone (eV/atom)", "{:.3f}"),
        "test_energy_r2": ("Energy, R²", "{:.2f}"),
        "acceptance_share": ("Generated latents that decode as asked for", "{:.1%}"),
        "acceptance_share_of_likeliest": ("… of the likeliest eighth", "{:.1%}"),
    }
    table = Table("On test crystals", "", title=f"Model {document.model_id}", title_justify="left")
    table.columns[1].justify = "right"
    for key, (title, form) in shown.items():
        if key in document.metrics:
            table.add_row(title, form.format(document.metrics[key]))
    table.add_row("Training, all runs (s)", f"{document.wall_time:.0f}")
    table.add_row("Peak memory (GiB)", f"{document.peak_memory:.2f}")
    voice.out.print(table)
    voice.out.print(
        f"{folder / MODEL_FILE}, {folder / DOCUMENT}, {folder / FIGURE}",
        soft_wrap=True,
        style="dim",
    )
