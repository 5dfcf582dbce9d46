"""Networks and samples of a run: training, and what the folder's store holds of a request."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from atomate2_vogen.cli.console import native_output_to
from atomate2_vogen.cli.makers import kept_file
from atomate2_vogen.cli.pipeline import FlowOutput, Pipeline, plural, reuse
from atomate2_vogen.cli.progress import SAMPLING
from atomate2_vogen.samplers.loading import SAMPLERS
from atomate2_vogen.schemas import DatasetDoc, SampleDoc, TrainingDoc, VogenDoc

if TYPE_CHECKING:
    from jobflow import Job, OutputReference

    from atomate2_vogen.stores import VogenStores

Doc = TypeVar("Doc", bound=VogenDoc)


def networks(run: Pipeline, sampler: str, preset: str, seed: int, model: Path | None) -> Any:
    """Networks for the sampler: a reference to them in the folder's job store.

    They come from the file that was given or from a training that is run here, with its progress
    on the console; None stands for those that are shipped, and for samplers without networks.
    """
    from atomate2_vogen.models.shipped import shipped_path

    if not SAMPLERS[sampler].has_networks:
        return None
    if model is not None:
        return kept_file(run.stores, model)
    if shipped_path(preset, run.system).is_file():
        return None
    return train(run, preset, seed)[1]


def potential(run: Pipeline, file: Path | None) -> Any:
    """Reference to a learned potential in the folder's job store; None is the shipped one."""
    return None if file is None else kept_file(run.stores, file)


def report_sample(run: Pipeline, ran: FlowOutput, counts: Mapping[str, int]) -> SampleDoc:
    """Sample of a flow that has run, from the folder's store; its stage is reported.

    Raises
    ------
    RuntimeError
        If formulas of the request are missing.
    """
    document = stored_sample(run.stores, counts)
    if document is None:
        raise RuntimeError(f"the store of {run.folder.path} lacks samples that were just made")
    made, tried = len(document.candidates), sum(document.attempts.values())
    wanted = sum(counts.values())
    result = (
        f"{made} of {wanted} {plural('crystal', wanted)} from {tried} {plural('attempt', tried)}"
    )
    run.report(ran, SAMPLING, result, candidates=made, attempts=tried)
    for formula, count in document.missing.items():
        run.voice.warn(
            f"  {formula}: {count} fewer than asked for; the sampler {document.sampler} found no "
            "more"
        )
    return document


def stored_sample(stores: VogenStores, counts: Mapping[str, int]) -> SampleDoc | None:
    """What the stores hold of a request, or None if formulas of it are not sampled yet."""
    parts = _stored_parts(stores, counts)
    done = {formula for part in parts for formula in part.requested}
    return _merged(parts, counts) if done == set(counts) else None


def recorded_sample(run: Pipeline) -> SampleDoc | None:
    """What a folder's run sampled; None if it sampled nothing or has not finished."""
    counts = run.folder.record.get("identity", {}).get("counts")
    return stored_sample(run.stores, counts) if isinstance(counts, dict) else None


def _merged(parts: Sequence[SampleDoc], counts: Mapping[str, int]) -> SampleDoc:
    """One sample of several, in the order in which formulas were asked for."""
    order = list(counts)
    return SampleDoc.merge(sorted(parts, key=lambda part: order.index(next(iter(part.requested)))))


def _stored_parts(stores: VogenStores, counts: Mapping[str, int]) -> list[SampleDoc]:
    """Samples of one or more of the formulas, each formula once."""
    parts, missing = [], set(counts)
    for _, document in finished_jobs(stores, SampleDoc):
        if missing >= document.requested.keys() and document.requested.items() <= counts.items():
            parts.append(document)
            missing -= document.requested.keys()
    return parts


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
        finished = next(finished_jobs(run.stores, document_class), None)
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
                finished = next(finished_jobs(run.stores, document_class), None)
                if finished is None:
                    raise RuntimeError(f"the {title} job left no {document_class.__name__}")
                notes["result"] = describe(finished[1])
            stage.result = describe(finished[1])
        else:
            stage.result = describe(finished[1]) + reuse(1, 1)
    uuid, document = finished
    return document, OutputReference(uuid)


def finished_jobs(stores: VogenStores, document_class: type[Doc]) -> Iterator[tuple[str, Doc]]:
    """Documents of a class among the job outputs, each with its job, the newest first.

    They are loaded one by one, as they are asked for: one may hold the weights of networks.
    """
    from atomate2_vogen.stores import parse

    query = {"output.@class": document_class.__name__}
    jobs = list(stores.job_store.query(query, properties=["uuid", "index", "completed_at"]))
    jobs.sort(key=lambda job: str(job.get("completed_at")), reverse=True)
    for uuid in dict.fromkeys(job["uuid"] for job in jobs):
        yield uuid, parse(document_class, stores.job_store.get_output(uuid, load=True))
