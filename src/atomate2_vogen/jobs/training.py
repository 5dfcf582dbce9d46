"""Jobs that train the networks: one per stage; the WGAN's job can run all stages.

With `checkpoint_dir`, a job saves the state of its training in a folder and resumes from it when
it is run again. The stages of one training may share a folder.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobflow import Maker, job

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.data.artefact import make_artefact, read_artefact
from atomate2_vogen.data.crystals import CrystalSet
from atomate2_vogen.data.relaxed import RelaxedSet, relaxed_path
from atomate2_vogen.errors import InputError
from atomate2_vogen.samplers.base import check_seed
from atomate2_vogen.schemas import Artefact, DatasetDoc, TrainingDoc

if TYPE_CHECKING:
    from rich.progress import Progress

    from atomate2_vogen.models.training.pipeline import TrainingResult
    from atomate2_vogen.models.training.trained_stage import TrainedStage

logger = logging.getLogger(__name__)

_SHOWN = {
    "sites": ("reconstruction", "val_reconstruction", "kl"),
    "lattice": ("reconstruction", "val_reconstruction", "kl"),
    "energy": ("mae", "val_mae"),
    "wgan": ("critic", "score", "energy"),
    "draws": ("accepted",),
    "acceptance": ("loss", "val_loss"),
}
"""Metrics beside each progress bar: autoencoders in nats, others in the network's units."""

Report = Callable[[str, int, int, dict[str, float]], None]


@dataclass
class _TrainMaker(Maker):
    """Common fields and steps of the Makers of this module."""

    name: str = "train"
    preset: str = "quick"
    system: OxideSystem = field(default_factory=lambda: VANADIUM)
    checkpoint_dir: str | None = None
    show_progress: bool = True

    def _crystals(self, dataset: DatasetDoc | Artefact) -> CrystalSet:
        """Read the data set and check that its system is the Maker's."""
        artefact = dataset.artefact if isinstance(dataset, DatasetDoc) else dataset
        crystals = CrystalSet.from_bytes(read_artefact(artefact), artefact.filename)
        if crystals.system.chemsys != self.system.chemsys:
            raise InputError(
                f"the data set {artefact.filename} is of {crystals.system.chemsys}, the Maker's "
                f"system is {self.system.chemsys}"
            )
        return crystals

    def _relaxations(self) -> RelaxedSet | None:
        """Shipped relaxations, if the preset uses them."""
        from atomate2_vogen.models.networks.presets import get_preset

        path = relaxed_path(self.system)
        if not get_preset(self.preset).relaxed or not path.exists():
            return None
        return RelaxedSet.load(path)

    @contextmanager
    def _reporting(self) -> Iterator[Report]:
        """Progress reports of the Maker's training."""
        with training_reports(show=self.show_progress) as report:
            yield report


@dataclass
class TrainVAEMaker(_TrainMaker):
    """Train the autoencoders of sites and of lattices.

    Parameters
    ----------
    name
        Name of the job.
    preset
        Key of `models.PRESETS`.
    system
        Oxide system; the data set must have the same elements.
    checkpoint_dir
        Folder for the state after every epoch. A killed job resumes from it and ends with the
        same history and weights; without a folder it starts again.
    show_progress
        Whether progress bars with losses are drawn if standard error is a terminal.

    Examples
    --------
    >>> from atomate2_vogen.jobs import BuildDatasetMaker, TrainVAEMaker
    >>> dataset = BuildDatasetMaker().make()
    >>> vae = TrainVAEMaker(preset="quick", checkpoint_dir="training").make(dataset.output)
    >>> vae.name
    'train VAE'
    """

    name: str = "train VAE"

    @job(data="artefact", output_schema=TrainingDoc)
    def make(self, dataset: DatasetDoc | Artefact, seed: int = 0) -> TrainingDoc:
        """Job whose output is a `TrainingDoc`; `TrainedStage.from_bytes` reads its artefact.

        Parameters
        ----------
        dataset
            Output of `BuildDatasetMaker`, or its file.
        seed
            Random seed for initial weights, batch order and noise.

        Raises
        ------
        InputError
            If there is no such preset, the seed is negative, or the data set is of another
            system.
        OutputFolderError
            If the folder of checkpoints holds another training, or cannot be written.
        ArtefactError
            If the data set's file or a checkpoint is damaged.
        TrainingError
            If the training diverges or the boxes stay blank.
        """
        from atomate2_vogen.models.training.stages import train_vae

        start = time.perf_counter()
        seed, crystals = check_seed(seed), self._crystals(dataset)
        with self._reporting() as report:
            stage = train_vae(crystals, self.preset, seed, report, checkpoint=self.checkpoint_dir)
        return _stage_document(stage, start)


@dataclass
class TrainEnergyMaker(_TrainMaker):
    """Train the energy CNN on the latents of trained autoencoders.

    Parameters
    ----------
    name
        Name of the job.
    preset, system, checkpoint_dir, show_progress
        As for `TrainVAEMaker`.

    Examples
    --------
    >>> from atomate2_vogen.jobs import BuildDatasetMaker, TrainEnergyMaker, TrainVAEMaker
    >>> dataset = BuildDatasetMaker().make()
    >>> vae = TrainVAEMaker(preset="quick").make(dataset.output)
    >>> TrainEnergyMaker(preset="quick").make(dataset.output, vae.output).name
    'train energy'
    """

    name: str = "train energy"

    @job(data="artefact", output_schema=TrainingDoc)
    def make(
        self,
        dataset: DatasetDoc | Artefact,
        vae: TrainingDoc | Artefact,
        seed: int = 0,
    ) -> TrainingDoc:
        """Job whose output is a `TrainingDoc`; `TrainedStage.from_bytes` reads its artefact.

        Parameters
        ----------
        dataset
            Labelled data set that the autoencoders were trained on.
        vae
            Output of `TrainVAEMaker`, or its file.
        seed
            Random seed for initial weights, batch order and noise.

        Raises
        ------
        InputError
            As `TrainVAEMaker`, or if the autoencoders are of another data set or preset.
        OutputFolderError, ArtefactError, TrainingError
            As `TrainVAEMaker`; `TrainingError` also if labels or relaxations are missing.
        """
        from atomate2_vogen.models.training.stages import train_energy

        start = time.perf_counter()
        seed, crystals = check_seed(seed), self._crystals(dataset)
        with self._reporting() as report:
            stage = train_energy(
                crystals,
                _read_stage(vae),
                self.preset,
                seed=seed,
                progress=report,
                checkpoint=self.checkpoint_dir,
                relaxations=self._relaxations(),
            )
        return _stage_document(stage, start)


@dataclass
class TrainWGANMaker(_TrainMaker):
    """Train the conditional WGAN, and before it the stages that are not given.

    The document goes to the job store and the file to its additional store ``data``.

    Parameters
    ----------
    name
        Name of the job.
    preset, system, show_progress
        As for `TrainVAEMaker`.
    checkpoint_dir
        As for `TrainVAEMaker`; the WGAN's state is saved after every fiftieth of its steps.

    Examples
    --------
    >>> from atomate2_vogen.jobs import BuildDatasetMaker, TrainWGANMaker
    >>> dataset = BuildDatasetMaker().make()
    >>> TrainWGANMaker(preset="quick").make(dataset.output, seed=1).name
    'train WGAN'
    """

    name: str = "train WGAN"

    @job(data="artefact", output_schema=TrainingDoc)
    def make(
        self,
        dataset: DatasetDoc | Artefact,
        seed: int = 0,
        vae: TrainingDoc | Artefact | None = None,
        energy: TrainingDoc | Artefact | None = None,
    ) -> TrainingDoc:
        """Job whose output is a `TrainingDoc`; `TrainedModel.from_bytes` reads its artefact.

        Parameters
        ----------
        dataset
            Labelled data set: output of `BuildDatasetMaker`, or its file.
        seed
            Random seed for initial weights, batch order and noise.
        vae, energy
            Outputs of `TrainVAEMaker` and `TrainEnergyMaker`, or their files; missing stages are
            trained here.

        Raises
        ------
        InputError
            If there is no such preset, the seed is negative, the data set is of another system,
            or a given stage is of another data set, preset or autoencoder.
        OutputFolderError
            If the folder of checkpoints holds another training, or cannot be written.
        ArtefactError
            If a file is damaged.
        TrainingError
            If labels or relaxations are missing, a training diverges or the boxes stay blank.
        """
        from atomate2_vogen.models.training.pipeline import train_wgan

        start = time.perf_counter()
        seed, crystals = check_seed(seed), self._crystals(dataset)
        with self._reporting() as report:
            result = train_wgan(
                crystals,
                self.preset,
                seed,
                report,
                checkpoint=self.checkpoint_dir,
                relaxations=self._relaxations(),
                vae=None if vae is None else _read_stage(vae),
                energy=None if energy is None else _read_stage(energy),
            )
        return training_document(result, start)


@contextmanager
def training_reports(*, show: bool) -> Iterator[Report]:
    """Function for the progress of a training: bars on a terminal if wanted, lines in the log."""
    with _bars(show=show) as bars:
        yield _reporter(bars)


def training_document(result: TrainingResult, start: float) -> TrainingDoc:
    """Document of a whole training.

    Parameters
    ----------
    result
        Result of `train_wgan`.
    start
        `time.perf_counter` at the start. The wall time is that of all runs of the training.
    """
    from atomate2_vogen.models.networks.backend import backend_name

    model = result.model
    return TrainingDoc(
        model_id=model.model_id,
        preset=model.preset.name,
        seed=model.provenance["seed"],
        chemsys=model.system.chemsys,
        dataset_id=model.provenance["dataset_id"],
        config=model.preset.as_dict(),
        history=result.history,
        metrics={**result.metrics, **_named(result.seconds)},
        backend=backend_name(),
        wall_time=max(time.perf_counter() - start, sum(result.seconds.values())),
        peak_memory=result.peak_memory,
        artefact=make_artefact(
            f"wgan-{model.system.chemsys}-{model.model_id}.zip", model.to_bytes()
        ),
    )


def _stage_document(stage: TrainedStage, start: float) -> TrainingDoc:
    """Document of a stage; the wall time is that of all runs of its training."""
    return TrainingDoc(
        model_id=stage.model_id,
        stage=stage.kind,
        preset=stage.preset.name,
        seed=stage.seed,
        chemsys=stage.system.chemsys,
        dataset_id=stage.dataset_id,
        config=stage.preset.as_dict(),
        history={network: dict(figures) for network, figures in stage.history.items()},
        metrics={**stage.metrics, **_named(stage.seconds)},
        backend=stage.backend,
        wall_time=max(time.perf_counter() - start, sum(stage.seconds.values())),
        peak_memory=stage.peak_memory,
        artefact=make_artefact(
            f"{stage.kind}-{stage.system.chemsys}-{stage.model_id}.npz", stage.to_bytes()
        ),
    )


def _read_stage(training: TrainingDoc | Artefact) -> TrainedStage:
    from atomate2_vogen.models.training.trained_stage import TrainedStage

    artefact = training.artefact if isinstance(training, TrainingDoc) else training
    return TrainedStage.from_bytes(read_artefact(artefact), artefact.filename)


def _named(seconds: Mapping[str, float]) -> dict[str, float]:
    return {f"seconds_{stage}": value for stage, value in seconds.items()}


def _bars(*, show: bool) -> Progress:
    """Progress bars, one per network, with losses."""
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


def _reporter(bars: Progress) -> Report:
    """Function that a training calls after each epoch."""
    from rich.progress import TaskID

    tasks: dict[str, TaskID] = {}

    def report(stage: str, done: int, total: int, figures: dict[str, float]) -> None:
        text = "  ".join(f"{k} {figures[k]:.4g}" for k in _SHOWN[stage] if k in figures)
        logger.info("%s %d/%d  %s", stage, done, total, text)
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total, figures=text)
        bars.update(tasks[stage], completed=done, total=total, figures=text)

    return report
