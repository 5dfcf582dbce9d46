"""The job that trains the networks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobflow import Maker, job

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.data.artefact import make_artefact, read_artefact
from atomate2_vogen.data.crystals import CrystalSet
from atomate2_vogen.errors import InputError
from atomate2_vogen.samplers.base import check_seed
from atomate2_vogen.schemas import Artefact, DatasetDoc, TrainingDoc

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress

_SHOWN = {
    "sites": ("reconstruction", "val_reconstruction", "kl"),
    "lattice": ("reconstruction", "val_reconstruction", "kl"),
    "energy": ("mae", "val_mae"),
    "wgan": ("critic", "score", "energy"),
}
"""Figures beside each bar: of the autoencoders in nats, else in the network's own units."""


@dataclass
class TrainWGANMaker(Maker):
    """Train both autoencoders, the energy CNN and the conditional WGAN on a data set.

    The document goes to the job store and the file to its additional store ``data``.

    Parameters
    ----------
    name
        Name of the job.
    preset
        Key of `models.presets.PRESETS`.
    seed
        Of weights, batches and noise, where `make` is not told another.
    system
        The two elements; the data set must be of these.
    show_progress
        Whether bars with losses are drawn where standard error is a terminal.
    """

    name: str = "train WGAN"
    preset: str = "quick"
    seed: int = 0
    system: OxideSystem = field(default_factory=lambda: VANADIUM)
    show_progress: bool = True

    @job(data="artefact", output_schema=TrainingDoc)
    def make(self, dataset: DatasetDoc | Artefact, seed: int | None = None) -> TrainingDoc:
        """Job whose output is a `TrainingDoc`; `TrainedModel.from_bytes` reads its artefact.

        Parameters
        ----------
        dataset
            Labelled data set, as `BuildDatasetMaker` gives it, or its file.
        seed
            Instead of the Maker's.

        Raises
        ------
        InputError
            If there is no such preset, the seed is negative, or the data set is of another
            system.
        ArtefactError
            If the data set's file is damaged.
        TrainingError
            If labels are missing, a training diverges or the boxes stay blank.
        """
        from atomate2_vogen.models.backend import backend_name
        from atomate2_vogen.models.training import train_wgan

        start = time.perf_counter()
        seed = check_seed(self.seed if seed is None else seed)
        artefact = dataset.artefact if isinstance(dataset, DatasetDoc) else dataset
        crystals = CrystalSet.from_bytes(read_artefact(artefact), artefact.filename)
        if crystals.system.chemsys != self.system.chemsys:
            raise InputError(
                f"the data set {artefact.filename} is of {crystals.system.chemsys}, the Maker's "
                f"system is {self.system.chemsys}"
            )
        with _bars(show=self.show_progress) as bars:
            result = train_wgan(crystals, self.preset, seed, _reporter(bars))
        model = result.model
        metrics = dict(result.metrics)
        metrics.update({f"seconds_{stage}": value for stage, value in result.seconds.items()})
        return TrainingDoc(
            model_id=model.model_id,
            preset=model.preset.name,
            seed=seed,
            chemsys=model.system.chemsys,
            dataset_id=crystals.dataset_id,
            config=model.preset.as_dict(),
            history=result.history,
            metrics=metrics,
            backend=backend_name(),
            wall_time=time.perf_counter() - start,
            peak_memory=result.peak_memory,
            artefact=make_artefact(
                f"wgan-{model.system.chemsys}-{model.model_id}.zip", model.to_bytes()
            ),
        )


def _bars(*, show: bool) -> Progress:
    """A bar per network with its losses beside it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        console=console,
        disable=not (show and console.is_terminal),
    )


def _reporter(bars: Progress) -> Callable[[str, int, int, dict[str, float]], None]:
    """What `train_wgan` calls to draw its progress."""
    from rich.progress import TaskID

    tasks: dict[str, TaskID] = {}

    def report(stage: str, done: int, total: int, figures: dict[str, float]) -> None:
        text = "  ".join(f"{k} {figures[k]:.4g}" for k in _SHOWN[stage] if k in figures)
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total, figures=text)
        bars.update(tasks[stage], completed=done, total=total, figures=text)

    return report
