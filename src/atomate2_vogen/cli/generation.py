"""The stages that end in a sample: data set, training, sampling.

They run the same Makers as `DiscoveryFlowMaker`; only the order is driven from here, so that
each can be shown, timed and found again in the folder's store.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from atomate2_vogen.cli.console import native_output_to
from atomate2_vogen.cli.decoding import Decoding
from atomate2_vogen.cli.pipeline import Pipeline, reuse
from atomate2_vogen.schemas import Artefact, DatasetDoc, SampleDoc, TrainingDoc, VogenDoc

if TYPE_CHECKING:
    from jobflow import Job, OutputReference

    from atomate2_vogen.stores import VogenStores

Doc = TypeVar("Doc", bound=VogenDoc)


def sample(
    run: Pipeline,
    sampler: str,
    preset: str,
    counts: dict[str, int],
    seed: int,
    *,
    decoding: Decoding | None = None,
) -> SampleDoc:
    """Crystals of the requested compositions.

    The WGAN's networks come from the file that was given, from the package, or from a training
    that is run first.
    """
    from atomate2_vogen.jobs.sampling import SampleMaker

    decoding = decoding or Decoding()
    maker = SampleMaker(
        sampler=sampler,
        options=decoding.options,
        system=run.system,
        preset=preset,
        judge_oversample=decoding.judge_oversample,
        novel_only=decoding.novel_only,
        novelty_margin=decoding.novelty_margin,
    )
    training = _networks(run, preset, seed, decoding.model) if sampler == "wgan" else None

    def describe(doc: SampleDoc) -> str:
        made, wanted = len(doc.candidates), sum(doc.requested.values())
        return f"{made} of {wanted} crystals from {sum(doc.attempts.values())} attempts"

    document, _ = _stage(
        run,
        "sampling",
        SampleDoc,
        lambda: maker.make(counts, seed, training=training),
        describe,
    )
    for formula, count in document.missing.items():
        run.voice.warn(
            f"  {formula}: {count} fewer than asked for; the sampler {sampler} found no more"
        )
    return document


def _networks(
    run: Pipeline, preset: str, seed: int, model: Path | None
) -> Artefact | OutputReference | None:
    """Trained networks for `SampleMaker`; None stands for those that are shipped."""
    from atomate2_vogen.data.artefact import make_artefact
    from atomate2_vogen.models.shipped import shipped_path

    if model is not None:
        return make_artefact(model.name, model.read_bytes())
    if shipped_path(preset, run.system).is_file():
        return None
    return train(run, preset, seed)[1]


def train(run: Pipeline, preset: str, seed: int) -> tuple[TrainingDoc, OutputReference]:
    """Data set and training: the document, and a reference to it in the job store."""
    from atomate2_vogen.jobs.dataset import BuildDatasetMaker
    from atomate2_vogen.jobs.training import TrainWGANMaker

    def describe_dataset(doc: DatasetDoc) -> str:
        unlabelled = f", {doc.n_label_failures} failed" if doc.n_label_failures else ""
        return (
            f"{doc.n_crystals:,} crystals, {doc.n_distinct:,} distinct; labels: "
            f"{doc.n_labels_reused:,} shipped, {doc.n_crystals - doc.n_labels_reused:,} "
            f"computed{unlabelled}"
        )

    def describe_training(doc: TrainingDoc) -> str:
        return f"preset {doc.preset}, model {doc.model_id}"

    kept = str((run.folder / "checkpoints").absolute())
    maker = BuildDatasetMaker(system=run.system, checkpoint_dir=kept)
    _, dataset = _stage(run, "data set", DatasetDoc, maker.make, describe_dataset)
    trainer = TrainWGANMaker(preset=preset, system=run.system, checkpoint_dir=kept)
    return _stage(
        run, "training", TrainingDoc, lambda: trainer.make(dataset, seed), describe_training
    )


def _stage(
    run: Pipeline,
    title: str,
    document_class: type[Doc],
    make: Callable[[], Job],
    describe: Callable[[Doc], str],
) -> tuple[Doc, OutputReference]:
    """One job in this process, unless its document is in the store already."""
    from jobflow import OutputReference, run_locally

    # no bar of our own: the job may draw one
    with run.voice.stage(title, bar=False) as stage:
        finished = finished_job(run.stores, document_class)
        if finished is None:
            with (
                run.folder.stage(title) as notes,
                tempfile.TemporaryDirectory(prefix="vogen-") as scratch,
                warnings.catch_warnings(),
                native_output_to(run.logs / f"{document_class.__name__}.log"),
            ):
                # of jobflow's own code, and meant for its authors
                warnings.filterwarnings("ignore", "cd is deprecated", FutureWarning)
                run_locally(
                    make(),
                    log=False,
                    store=run.stores.job_store,
                    root_dir=scratch,
                    allow_external_references=True,
                    raise_immediately=True,
                )
                finished = finished_job(run.stores, document_class)
                if finished is None:
                    raise RuntimeError(f"the {title} job left no {document_class.__name__}")
                notes["result"] = describe(finished[1])
            stage.result = describe(finished[1])
        else:
            stage.result = describe(finished[1]) + reuse(1, 1)
    uuid, document = finished
    return document, OutputReference(uuid)


def finished_job(stores: VogenStores, document_class: type[Doc]) -> tuple[str, Doc] | None:
    """The newest document of a class among the job outputs, and its job."""
    from atomate2_vogen.stores import parse

    query = {"output.@class": document_class.__name__}
    jobs = list(stores.job_store.query(query, properties=["uuid", "index", "completed_at"]))
    if not jobs:
        return None
    newest = max(jobs, key=lambda job: str(job.get("completed_at")))
    output = stores.job_store.get_output(newest["uuid"], load=True)
    return newest["uuid"], parse(document_class, output)
