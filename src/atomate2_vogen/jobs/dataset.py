"""The job that makes the training data."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jobflow import Maker, job

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.data.artefact import make_artefact
from atomate2_vogen.data.dataset import build_dataset, label_statistics
from atomate2_vogen.data.labels import JUDGE_SCHEME, EnergyFunction, chgnet_energies
from atomate2_vogen.errors import OutputFolderError
from atomate2_vogen.schemas import DatasetDoc


@dataclass
class BuildDatasetMaker(Maker):
    """Substitute the prototypes, split them by group and label every crystal.

    The document goes to the job store and the file to its additional store ``data``.

    Parameters
    ----------
    name
        Name of the job.
    system
        The two elements.
    max_edge
        Longest edge of the Niggli cell in Å.
    judge
        Loads the function that gives the energies; any importable function.
    scheme
        Name of the judge's energy scale.
    use_shipped_labels
        Whether labels that come with the package are reused for exactly the same crystals.
    checkpoint_dir
        Folder that keeps the labels computed so far; a job that was killed goes on from there
        and ends with the same data set. Without one it starts again.
    show_progress
        Whether a bar is drawn where standard error is a terminal.

    Examples
    --------
    >>> from atomate2_vogen.jobs import BuildDatasetMaker
    >>> BuildDatasetMaker(max_edge=8.0, show_progress=False).make().name
    'build dataset'
    """

    name: str = "build dataset"
    system: OxideSystem = field(default_factory=lambda: VANADIUM)
    max_edge: float = 10.0
    judge: Callable[[], EnergyFunction] = chgnet_energies
    scheme: str = JUDGE_SCHEME
    use_shipped_labels: bool = True
    checkpoint_dir: str | None = None
    show_progress: bool = True

    @job(data="artefact", output_schema=DatasetDoc)
    def make(self) -> DatasetDoc:
        """Job whose output is a `DatasetDoc`; `CrystalSet.from_bytes` reads its artefact."""
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress

        start = time.perf_counter()
        console = Console(stderr=True)
        disable = not (self.show_progress and console.is_terminal)
        columns = (*Progress.get_default_columns(), MofNCompleteColumn())
        with Progress(*columns, console=console, disable=disable) as bar:
            task = bar.add_task("labels", total=None)
            crystals, labelling = build_dataset(
                self.system,
                self.max_edge,
                judge=self.judge,
                scheme=self.scheme,
                use_shipped_labels=self.use_shipped_labels,
                checkpoint=self._checkpoint(),
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        filename = f"dataset-{self.system.chemsys}-{crystals.dataset_id}.npz"
        return DatasetDoc(
            dataset_id=crystals.dataset_id,
            chemsys=self.system.chemsys,
            scheme=self.scheme,
            n_prototypes=len(np.unique(crystals.prototype_ids)),
            n_crystals=len(crystals),
            n_distinct=int(crystals.is_distinct.sum()),
            n_groups=len(np.unique(crystals.groups)),
            n_by_split=dict(Counter(crystals.splits.tolist())),
            n_by_formula=dict(Counter(crystals.formulas().tolist()).most_common()),
            n_labelled=int(np.isfinite(crystals.energies).sum()),
            n_label_failures=len(labelling.failures),
            n_labels_reused=labelling.n_reused,
            label_failures={str(i): reason for i, reason in labelling.failures.items()},
            label_statistics=label_statistics(crystals.energies),
            wall_time=time.perf_counter() - start,
            artefact=make_artefact(filename, crystals.to_bytes()),
        )

    def _checkpoint(self) -> Path | None:
        """File of the labels computed so far; its folder is made if need be."""
        if self.checkpoint_dir is None:
            return None
        folder = Path(self.checkpoint_dir).expanduser()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputFolderError(
                f"checkpoint_dir {folder} cannot be made: {error.strerror}"
            ) from error
        return folder / f"labels-{self.system.chemsys}-{self.scheme}.npz"
