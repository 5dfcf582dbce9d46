"""What a verb says at its end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from atomate2_vogen.cli.console import Voice
from atomate2_vogen.cli.tables import (
    candidate_table,
    characterisation_table,
    consensus_lines,
    consensus_table,
    counts_of,
    dft_lines,
    dft_table,
    failures,
    learning_lines,
    metrics_lines,
    metrics_table,
    reasons,
    rejection_lines,
    remarks,
    rounds_table,
    summary_table,
)
from atomate2_vogen.masking import printable

if TYPE_CHECKING:
    from atomate2_vogen.schemas import (
        ConsensusDoc,
        DftDoc,
        ElectronicDoc,
        LoopDoc,
        MetricsDoc,
        PhononDoc,
        SampleDoc,
        StabilityDoc,
    )
    from atomate2_vogen.structures.reading.structures import BadFile

LEGEND = (
    "Energies in eV/atom: of formation, above the hull before and after relaxation. paper: stable "
    "≤ 0.3, metastable ≤ 0.5 above the hull, formation energy < 0. field: on hull ≤ 0, near hull "
    "≤ 0.1. novel: matches no known prototype and no reference phase."
)
LOOP_LEGEND = (
    "≤: new crystals within so many eV/atom of the hull: unique, novel, not found in an earlier "
    "round. replays: crystals found in an earlier round. P1 %: share of the finds without "
    "symmetry. CPU-h: sampling, relaxation and learning."
)
METRICS_LEGEND = (
    "Counts of the crystals delivered; unique: those that differ, as generated and after "
    "relaxation; S.U.N.: ≤ 0.1 above the hull, unique after relaxation, novel. Energies and RMSD "
    "(Å, to the relaxed crystal): medians of ranked ones."
)


CONSENSUS_LEGEND = (
    "Energy above the hull of each model's own reference phases, eV/atom; *: relaxed into another "
    "crystal than the first model's. Verdicts on crystals that the first model places within 0.1 "
    "and 0.025 eV/atom. confirmed: all models agree, two of them of different functionals and "
    "training data; refuted: further models disagree; disputed: some do; undecided: one gave no "
    "answer, or none is independent."
)

DFT_LEGEND = (
    "Energies in eV/atom above the known phase of the formula that is lowest by each, at fixed "
    "crystals; known phases are dim. order: of the lowest magnetic start."
)


def print_discovery(
    voice: Voice,
    stability: Sequence[StabilityDoc],
    sample: SampleDoc,
    metrics: MetricsDoc | None,
    *,
    path: Path,
    written: Sequence[str],
    further: Sequence[ElectronicDoc | PhononDoc] = (),
    as_json: bool,
) -> None:
    """Tables of a discovery."""
    if as_json:
        content = {
            **_judge(stability),
            "out": str(path),
            "metrics": None if metrics is None else metrics.model_dump(mode="json"),
            "candidates": [_row(doc) for doc in stability],
            "missing": sample.missing,
            **_further(further),
        }
        click.echo(json.dumps(content, indent=1))
        return
    _print_candidates(voice, stability, None)
    voice.out.print(summary_table(stability, sample))
    for line in rejection_lines(sample):
        voice.out.print(f"[dim]{escape(line)}[/dim]", soft_wrap=True)
    if metrics is not None:
        _print_metrics(voice, metrics)
    _print_judge(voice, stability)
    if further:
        voice.out.print(characterisation_table(further))
        for line in failures(further):
            voice.out.print(f"[dim]{escape(line)}[/dim]", soft_wrap=True)
    print_written(voice, path, [*written, "run.json", "store/"])


def print_loop(
    voice: Voice, loop: LoopDoc, *, path: Path, written: Sequence[str], as_json: bool
) -> None:
    """Table of the rounds of a loop."""
    if as_json:
        content = {"out": str(path), "n_finds": loop.n_finds, "cpu_hours": loop.cpu_hours}
        click.echo(json.dumps(content | loop.model_dump(mode="json"), indent=1))
        return
    voice.out.print(rounds_table(loop.rounds))
    for line in learning_lines(loop.rounds):
        voice.out.print(f"[dim]{escape(line)}[/dim]", soft_wrap=True)
    voice.out.print(f"[dim]{LOOP_LEGEND}[/dim]")
    finds = "find" if loop.n_finds == 1 else "finds"
    voice.out.print(
        f"{loop.n_finds} {finds} within {loop.threshold:g} eV/atom of the hull, "
        f"{loop.cpu_hours:.3f} CPU-hours; ended by the number of {loop.stopped_by}"
    )
    voice.out.print(f"Energy model that chose the finds: {escape(loop.scheme)}")
    print_written(voice, path, [*written, "run.json", "store/"])


def print_consensus(
    voice: Voice,
    documents: Sequence[ConsensusDoc],
    dft: Sequence[DftDoc] = (),
    *,
    path: Path,
    written: Sequence[str],
    as_json: bool,
) -> None:
    """Verdicts of several energy models, and energies by a DFT code."""
    if as_json:
        content = {
            "out": str(path),
            "crystals": [
                document.model_dump(
                    mode="json", exclude={"structure": True, "opinions": {"__all__": {"structure"}}}
                )
                for document in documents
            ],
            "dft": [
                document.model_dump(mode="json", exclude={"energies": {"__all__": {"structure"}}})
                for document in dft
            ],
        }
        click.echo(json.dumps(content, indent=1))
        return
    voice.out.print(consensus_table(documents))
    voice.out.print(f"[dim]{CONSENSUS_LEGEND}[/dim]")
    for line in consensus_lines(documents):
        voice.out.print(f"[dim]{escape(line)}[/dim]", soft_wrap=True)
    for name, limit in (("verdict", "0.1"), ("verdict_25mev", "0.025")):
        verdicts = [one.value for document in documents if (one := getattr(document, name))]
        counts = [f"{verdicts.count(one)} {one}" for one in dict.fromkeys(verdicts)]
        told = f"{len(verdicts)} by the first model, of these {', '.join(counts)}"
        voice.out.print(f"Within {limit} eV/atom: {told if verdicts else 'none'}")
    if dft:
        voice.out.print(dft_table(dft))
        voice.out.print(f"[dim]{DFT_LEGEND}[/dim]")
        for line in dft_lines(dft):
            voice.out.print(f"[dim]{escape(line)}[/dim]", soft_wrap=True)
    print_written(voice, path, written)


def print_sample(voice: Voice, sample: SampleDoc, path: Path) -> None:
    """What was generated, and why the rest was not."""
    for line in rejection_lines(sample):
        voice.out.print(escape(line), soft_wrap=True)
    print_written(voice, path, ["cifs/", "candidates.json", "run.json", "store/"])
    voice.out.print(f"Next: vogen evaluate {escape(str(path))}", soft_wrap=True)


def print_evaluation(
    voice: Voice,
    bad: Sequence[BadFile],
    stability: Sequence[StabilityDoc] = (),
    names: Mapping[str, str] | None = None,
    metrics: MetricsDoc | None = None,
    *,
    as_json: bool,
) -> None:
    """Table of a user's crystals, then every file that could not be used."""
    names = names or {}
    if as_json:
        files = [{"file": names.get(doc.candidate_id), **_row(doc)} for doc in stability]
        wrong = [
            {"file": str(b.path), "error": type(b.error).__name__, "message": str(b.error)}
            for b in bad
        ]
        whole = None if metrics is None else metrics.model_dump(mode="json")
        content = {**_judge(stability), "metrics": whole, "files": files, "bad": wrong}
        click.echo(json.dumps(content, indent=1))
    elif stability:
        _print_candidates(voice, stability, names)
        if metrics is not None:
            _print_metrics(voice, metrics)
        _print_judge(voice, stability)
    for entry in bad:
        click.echo(f"vogen: {type(entry.error).__name__}: {entry.error}", err=True)


def print_build(
    voice: Voice,
    stability: Sequence[StabilityDoc],
    path: Path,
    written: Sequence[str],
    *,
    as_json: bool,
) -> None:
    """Tables of a rebuilt folder."""
    if as_json:
        rows = [_row(doc) for doc in stability]
        click.echo(json.dumps({**_judge(stability), "candidates": rows}, indent=1))
        return
    if not stability:
        voice.out.print("No calculations in this store yet; vogen evaluate relaxes crystals.")
        return
    _print_candidates(voice, stability, None)
    voice.out.print(summary_table(stability))
    _print_judge(voice, stability)
    print_written(voice, path, written)


def _print_candidates(
    voice: Voice, stability: Sequence[StabilityDoc], names: Mapping[str, str] | None
) -> None:
    voice.out.print(candidate_table(stability, names))
    if names is not None:
        for line in remarks(stability, names):
            voice.out.print(escape(line), soft_wrap=True)
    for line in reasons(stability, names):
        voice.out.print(f"[dim]not ranked: {escape(line)}[/dim]", soft_wrap=True)


def _print_metrics(voice: Voice, metrics: MetricsDoc) -> None:
    voice.out.print(metrics_table(metrics))
    for line in metrics_lines(metrics):
        voice.out.print(escape(line), soft_wrap=True)
    voice.out.print(f"[dim]{METRICS_LEGEND}[/dim]")


def _print_judge(voice: Voice, stability: Sequence[StabilityDoc]) -> None:
    judge = _judge(stability)
    voice.out.print(f"[dim]{LEGEND}[/dim]")
    voice.out.print(escape(f"Energy model {judge['judge']}, hull {judge['hull_id']}"))


def print_written(voice: Voice, path: Path, written: Sequence[str]) -> None:
    """Where a command wrote what."""
    voice.out.print(
        f"Written to {escape(printable(str(path)))}: {escape(', '.join(written))}", soft_wrap=True
    )


def _judge(stability: Sequence[StabilityDoc]) -> dict[str, Any]:
    return {
        "judge": ", ".join(sorted({doc.scheme for doc in stability})) or None,
        "hull_id": ", ".join(sorted({doc.hull_id for doc in stability})) or None,
        "counts": counts_of(stability),
    }


def _further(documents: Sequence[ElectronicDoc | PhononDoc]) -> dict[str, list[dict[str, Any]]]:
    """Later stages without their large objects, which stay in the store."""
    from atomate2_vogen.jobs import electronic, phonons
    from atomate2_vogen.schemas import ElectronicDoc

    found: dict[str, list[dict[str, Any]]] = {"electronic": [], "phonons": []}
    for document in documents:
        name, large = "phonons", phonons.DATA
        if isinstance(document, ElectronicDoc):
            name, large = "electronic", electronic.DATA
        found[name].append(document.model_dump(mode="json", exclude={"structure", *large}))
    return found


def _row(doc: StabilityDoc) -> dict[str, Any]:
    return doc.model_dump(mode="json", exclude={"structure", "unrefined_structure"})
