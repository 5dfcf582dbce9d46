"""``vogen evaluate``: relax crystals from files and place them on the hull."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atomate2_vogen.cli import options
from atomate2_vogen.cli.grouped import GroupedCommand
from atomate2_vogen.errors import InputError

if TYPE_CHECKING:
    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.schemas import CandidateDoc
    from atomate2_vogen.structures.reading.structures import ReadStructure


@click.command(
    cls=GroupedCommand, short_help="Relax your own crystals and place them on the convex hull."
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.system_option
@options.engine_option
@options.refine_option
@options.known_option
@options.elements_option
@options.workers_option
@options.json_option
@options.out_option(None)
@click.pass_context
def evaluate(
    ctx: click.Context,
    *,
    paths: tuple[Path, ...],
    system: OxideSystem | None,
    engine: str,
    refine: bool | None,
    known: tuple[Path, ...],
    elements: tuple[str, ...] | None,
    workers: int,
    as_json: bool,
    out: Path | None,
) -> None:
    """Relax crystals from files and place them on the convex hull.

    PATHS are CIF or POSCAR files, pymatgen JSON, or folders of them, including folders written by
    another vogen command. Each crystal is relaxed with the energy model, placed on the convex hull
    of the known phases, classified, and compared with the others and with all known prototypes.
    Files that cannot be used are listed at the end with the reason; the others are computed, and
    the exit code is 2.

    Counts over all crystals follow the table; --json prints them in full, with denominators, 95 %
    intervals, and the settings of every comparison.

    With --out results are kept, and a second run computes only new crystals. The folder shows the
    crystals of the last run: tables, CIFs and stability documents of others are removed, and their
    calculations stay in store/, to be reused when these crystals are given again.

    \b
    Examples:
      vogen evaluate crystal.cif
      vogen evaluate my_crystals/ POSCAR --out judged
      vogen evaluate my_crystals/ --json > judged.json
      vogen evaluate my_crystals/ --known published_cifs/
      vogen evaluate vasp4_poscars/ --elements V,O
      vogen evaluate vogen_sample --out judged
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.cli.session import engine_identity, open_run
    from atomate2_vogen.engines import load_engine
    from atomate2_vogen.structures.reading.structures import read_structures

    system = system or VANADIUM
    voice = Voice(quiet=as_json)
    _check_apart(paths, out)
    good, bad = read_structures(paths, system, elements=elements)
    with ExitStack() as stack:
        kept = out is not None
        if out is None:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="vogen-"))
            out = Path(scratch) / "run"
        results: dict[str, Any] = {}
        if good:
            identity = engine_identity(engine) | options.refine_identity(engine, refine)
            run = stack.enter_context(open_run(out, "evaluate", identity, voice, system))
            from atomate2_vogen.cli.known import read_known, set_known
            from atomate2_vogen.cli.makers import references_maker, refinement
            from atomate2_vogen.cli.results import (
                export,
                measure,
                report_relaxation,
                update_stability,
            )
            from atomate2_vogen.flows import EvaluateMaker

            energies = load_engine(engine, system)
            candidates, names = candidates_of(good)
            references = references_maker(energies, system)
            own = read_known(known, system, voice)
            maker = EvaluateMaker(
                engine=energies,
                system=system,
                references=references,
                refine=refinement(refine),
                known=own,
            )
            ran = run.run(maker.make(candidates), workers)
            set_known(run.stores, own)
            report_relaxation(run, ran, energies.scheme, names)
            judged = update_stability(run, energies, candidates)
            metrics = measure(run, judged, measured=ran.output.metrics)
            if kept:
                export(run, judged, metrics)
            results = {"stability": judged.stability, "names": names, "metrics": metrics}
        from atomate2_vogen.cli.report import print_evaluation

        print_evaluation(voice, bad, as_json=as_json, **results)
    if bad:
        ctx.exit(2)


def _check_apart(paths: Sequence[Path], out: Path | None) -> None:
    """Refuse inputs that lie in the output folder: they would be replaced by what comes out."""
    if out is None:
        return
    target = out.resolve()
    for path in paths:
        if path.resolve().is_relative_to(target):
            raise InputError(f"{path}: lies in the output folder; give another --out than {out}")


def candidates_of(
    files: Sequence[ReadStructure],
) -> tuple[list[CandidateDoc], dict[str, str]]:
    """Candidates from files, and their names by candidate id.

    A file that was moved is recognised, one that was changed is computed anew.
    """
    from atomate2_vogen.jobs.evaluation import candidates_from

    candidates = candidates_from(
        [file.structure for file in files], [{"file": file.label} for file in files]
    )
    return candidates, {
        candidate.candidate_id: file.label
        for candidate, file in zip(candidates, files, strict=True)
    }
