"""``vogen reconstruct``: what both networks make of a known crystal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from atomate2_vogen.cli import options
from atomate2_vogen.cli.sampling_options import model_option

if TYPE_CHECKING:
    from pymatgen.core import Structure
    from rich.table import Table

    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.models.reconstruction import Reconstruction


@click.command(short_help="Encode and decode crystals, and compare.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--known", is_flag=True, help="Also the known phases of the system, which no training saw."
)
@model_option
@options.json_option
@options.out_option(None)
@click.pass_context
def reconstruct(
    ctx: click.Context,
    *,
    paths: tuple[Path, ...],
    known: bool,
    model: Path | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """Encode crystals with both networks, decode them, and tell what survived.

    PATHS are CIF or POSCAR files, pymatgen JSON, or folders of them, also those that another vogen
    command has written; each crystal is taken in its primitive cell. Oxides are those that the networks are of. Nothing is told to the
    decoder. Files that cannot be used are listed at
    the end with what is wrong; the others are done all the same, and the exit code is 2. Known phases
    that the grids cannot hold are listed as well.

    With --out the decoded crystals (cifs/) and the table (reconstruction.csv, .json) are
    written there.

    \b
    Examples:
      vogen reconstruct crystal.cif
      vogen reconstruct --known --out known_phases
      vogen reconstruct my_crystals/ --model model.zip --json
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    import json

    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.errors import InputError
    from atomate2_vogen.structures.reading.structures import BadFile, read_structures

    if not (paths or known):
        raise InputError("nothing to reconstruct: give files or folders, or --known")
    voice = Voice(quiet=as_json)
    networks = _load(model)
    good, bad = read_structures(paths, networks.system)
    crystals = {file.label: file.structure for file in good}
    phases = known_phases(networks.system) if known else {}

    from atomate2_vogen.models.reconstruction import prepare, summarise_reconstruction
    from atomate2_vogen.models.reconstruction import reconstruct as encode_and_decode

    usable: dict[str, Structure] = {}
    too_large: list[BadFile] = []
    for source, refused in ((crystals, bad), (phases, too_large)):
        for name, structure in source.items():
            try:
                prepare(networks, structure, name)
            except InputError as error:
                refused.append(BadFile(Path(name), error))
            else:
                usable[name] = structure
    done = list(encode_and_decode(networks, usable))
    result = {
        "model_id": networks.model_id,
        "preset": networks.preset.name,
        "crystals": [r.row() for r in done],
        "summary": summarise_reconstruction(done),
        "bad": [
            {"name": str(b.path), "error": type(b.error).__name__, "message": str(b.error)}
            for b in [*bad, *too_large]
        ],
    }
    text = json.dumps(result, indent=1) + "\n"
    if out is not None:
        write(out, networks.model_id, done, text)
    if as_json:
        click.echo(text, nl=False)
    elif done:
        voice.out.print(crystal_table(done))
        voice.out.print(summary_table(result["summary"]))
        voice.out.print(f"[dim]{LEGEND}[/dim]")
        voice.out.print(escape(f"Model {networks.model_id}, preset {networks.preset.name}"))
        if out is not None:
            voice.out.print(
                escape(f"Written to {out}: cifs/, reconstruction.csv, reconstruction.json")
            )
    for entry in [*bad, *too_large]:
        click.echo(f"vogen: {type(entry.error).__name__}: {entry.error}", err=True)
    if bad:
        ctx.exit(2)


LEGEND = (
    "composition: as many atoms of each element. match: StructureMatcher at 0.3 / 0.5 / 10°; "
    "strict: at its defaults. RMSD and median displacement of the sites in Å; mean absolute "
    "errors of the cell's lengths in Å and angles in degrees."
)


def known_phases(system: OxideSystem) -> dict[str, Structure]:
    """Known compounds of a system with cells that the networks can hold, by name.

    The prototypes that are compounds of the system itself, in their own cells, and shipped
    reference phases that match none of them. Training leaves all of their families out.
    """
    from pymatgen.core import Lattice, Structure
    from pymatgen.symmetry.groups import sg_symbol_from_int_number

    from atomate2_vogen.data.labels import JUDGE_SCHEME
    from atomate2_vogen.data.prototypes import load_prototypes
    from atomate2_vogen.engines.references import load_references
    from atomate2_vogen.errors import MissingReferenceError
    from atomate2_vogen.structures.matching import KnownStructures

    phases: dict[str, Structure] = {}
    for prototype in load_prototypes():
        if set(prototype.numbers.tolist()) == set(system.atomic_numbers):
            crystal = Structure(
                Lattice(prototype.lattice), prototype.numbers.tolist(), prototype.frac_coords
            )
            formula = crystal.composition.reduced_formula
            symbol = sg_symbol_from_int_number(prototype.space_group)
            phases[f"{formula} {symbol} ({prototype.name})"] = crystal
    try:
        references = load_references(JUDGE_SCHEME, system)
    except MissingReferenceError:
        references = []
    there = KnownStructures(phases)
    for reference in references:
        elements = {e.symbol for e in reference.structure.composition.elements}
        small = len(reference.structure) <= system.max_atoms
        if elements == set(system.elements) and small and not there.find(reference.structure):
            phases[reference.name] = reference.structure
    return phases


def crystal_table(done: list[Reconstruction]) -> Table:
    """One row per crystal."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("crystal", overflow="fold", min_width=16)
    table.add_column("atoms", justify="right")
    for name in ("composition", "match", "strict"):
        table.add_column(name, no_wrap=True)
    for name in ("RMSD", "median", "lengths", "angles"):
        table.add_column(name, justify="right", no_wrap=True)
    for r in done:
        answers = [
            Text("yes", "green") if value else Text("no", "red")
            for value in (r.exact, r.match, r.default_match)
        ]
        numbers = [
            _number(value, digits)
            for value, digits in (
                (r.rmsd, 3),
                (r.displacement, 3),
                (r.length_error, 3),
                (r.angle_error, 2),
            )
        ]
        table.add_row(Text(r.name), str(r.natoms), *answers, *numbers)
    return table


def summary_table(summary: dict[str, dict[str, Any]]) -> Table:
    """One row per class of sizes."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("cells")
    columns = ("n", "composition", "match", "strict", "RMSD", "median", "lengths", "angles")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for name, figures in summary.items():
        shares = [f"{figures[k]:.1%}" for k in ("exact_composition", "match", "default_match")]
        errors = [
            _number(figures[key], digits)
            for key, digits in (
                ("rmsd", 3),
                ("median_displacement", 3),
                ("length_mae", 3),
                ("angle_mae", 2),
            )
        ]
        table.add_row(name, str(figures["n"]), *shares, *errors)
    return table


def write(out: Path, model_id: str, done: list[Reconstruction], text: str) -> None:
    """Decoded crystals as CIF, and the table as CSV and JSON."""
    import csv
    import io

    from atomate2_vogen.cli.output import OutputFolder
    from atomate2_vogen.files import as_name
    from atomate2_vogen.masking import printable

    with OutputFolder(out, "reconstruct", {"model": model_id}) as folder:
        table = io.StringIO()
        if done:
            writer = csv.DictWriter(table, list(done[0].row()), lineterminator="\n")
            writer.writeheader()
            writer.writerows(r.row() for r in done)
        folder.write("reconstruction.csv", table.getvalue())
        folder.write("reconstruction.json", text)
        written = []
        for number, r in enumerate(done):
            if r.decoded is not None:
                name = f"{number:03d}-{as_name(r.name[-80:])}.cif"
                content = f"# {printable(r.name)}\n{r.decoded.to(fmt='cif')}"
                folder.write(name, content, "cifs")
                written.append(f"cifs/{name}")
        folder.remove_stale(written, ["cifs/"])


def _load(path: Path | None) -> Any:
    """The model of a file, or the one that is shipped."""
    from atomate2_vogen.models.shipped import load_shipped
    from atomate2_vogen.models.trained_model import TrainedModel

    return load_shipped() if path is None else TrainedModel.load(path)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
