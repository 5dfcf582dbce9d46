"""``vogen query``: find crystals in a store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from atomate2_vogen.cli import options
from atomate2_vogen.cli.grouped import GroupedCommand
from atomate2_vogen.errors import InputError, OutputFolderError

if TYPE_CHECKING:
    from rich.table import Table

    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.stores import CrystalRow, CrystalRows, VogenStores

SHOWN = 20
"""Rows of the table where --limit does not say otherwise."""

Range = tuple[float | None, float | None]


class RangeType(click.ParamType):
    """Two numbers with a colon between them, either of which may be left out."""

    name = "LOW:HIGH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Range:
        """The two numbers."""
        if isinstance(value, tuple):
            return value
        low, colon, high = str(value).partition(":")
        try:
            ends = tuple(float(end) if end.strip() else None for end in (low, high))
        except ValueError:
            ends = ()
        if not colon or ends in {(), (None, None)}:
            self.fail(f"{value!r} is no range; write 0.5:2, 0.5: or :2", param, ctx)
        return ends[0], ends[1]


QUERY_GROUPS = {
    "Energy and stability": (
        "max_hull",
        "min_hull",
        "paper_class",
        "field_class",
        "confirmed",
        "scheme",
        "state",
    ),
    "Crystal": (
        "formula",
        "space_group",
        "dimensionality",
        "unique",
        "novel",
        "sampler",
        "model_id",
    ),
    "Electrons and phonons": (
        "half_metal",
        "character",
        "gap",
        "stable_phonons",
        "phonons",
    ),
    "Order": ("sort", "limit"),
    "Output": ("csv_file", "cifs", "conventional", "as_json"),
}


@click.command(cls=GroupedCommand, groups=QUERY_GROUPS, short_help="Find crystals in a store.")
@options.where_argument
@click.option(
    "--formula",
    multiple=True,
    help="Chemical formula; may be repeated.",
)
@click.option(
    "--class", "paper_class", multiple=True, help="Stability class: stable, metastable or unstable."
)
@click.option("--field-class", multiple=True, help="Position: on hull, near hull or above hull.")
@click.option("--max-hull", type=float, help="Largest energy above hull, eV/atom.")
@click.option("--min-hull", type=float, help="Smallest energy above hull, eV/atom.")
@click.option("--space-group", multiple=True, help="Space group number or symbol; may be repeated.")
@click.option(
    "--dimensionality",
    multiple=True,
    type=click.IntRange(0, 3),
    help="Bonding dimensionality: 3 framework, 2 layers, 1 chains, 0 molecules; may be repeated.",
)
@click.option(
    "--unique/--duplicate",
    default=None,
    help="Only crystals lowest in energy among their duplicates, or only the others.",
)
@click.option(
    "--novel/--known",
    default=None,
    help="Only crystals that match no known crystal, or only those that do.",
)
@click.option("--half-metal", is_flag=True, default=None, help="Only half metals.")
@click.option(
    "--character",
    multiple=True,
    help="Electronic character: metal, half-metal, semiconductor, insulator, …",
)
@click.option("--gap", type=RangeType(), help="Fundamental gap over both spins, eV.")
@click.option(
    "--stable-phonons", is_flag=True, default=None, help="Only dynamically stable crystals."
)
@click.option("--phonons", multiple=True, help="Verdict of the phonons: stable, soft or unstable.")
@click.option(
    "--confirmed",
    type=click.Choice(["0.1", "0.025"]),
    is_flag=False,
    flag_value="0.1",
    help="Only crystals that several energy models place within so many eV/atom above their hulls; "
    "see vogen confirm.  [default: 0.1 where no number is given]",
)
@click.option("--sampler", multiple=True, help="Name of the sampler; may be repeated.")
@click.option(
    "--model", "model_id", multiple=True, help="Id of the trained networks; may be repeated."
)
@click.option(
    "--scheme", multiple=True, help="Energy scheme, for example CHGNet-0.3.0; may be repeated."
)
@click.option(
    "--state",
    multiple=True,
    default=("ranked",),
    show_default=True,
    help="State: ranked, collapsed, unconverged, not bulk, failed, or any.",
)
@click.option(
    "--sort",
    default="energy_above_hull",
    show_default=True,
    help="Column to sort by; -COLUMN sorts largest first.",
)
@click.option(
    "--limit",
    type=click.IntRange(0),
    help=f"Largest number of crystals; 0 for all.  [default: {SHOWN} in a table, else all]",
)
@click.option("--csv", "csv_file", metavar="FILE", help="CSV file to write; - is stdout.")
@click.option(
    "--cifs",
    type=options.UserPath(),
    help="Folder for CIFs of the relaxed crystals, with their space group and its operations.",
)
@click.option(
    "--conventional",
    is_flag=True,
    help="With --cifs: the conventional standard cell (Setyawan and Curtarolo), all atoms listed.",
)
@options.json_option
def query(
    where: str | None,
    *,
    gap: Range | None,
    confirmed: str | None,
    state: tuple[str, ...],
    sort: str,
    limit: int | None,
    csv_file: str | None,
    cifs: Path | None,
    conventional: bool,
    as_json: bool,
    **conditions: Any,
) -> None:
    """Find crystals in a store.

    WHERE is an output folder of vogen discover or vogen evaluate, the folder of a store, a
    mongodb:// URI, or a YAML file that names a database. The default is the database of jobflow's
    settings. All conditions must hold; those on gap, character, phonons and --confirmed find only
    crystals for which these were calculated.

    \b
    Examples:
      vogen query vogen_output --max-hull 0.1 --novel
      vogen query mongodb://localhost/vogen --formula VO2 --half-metal --json
      vogen query store.yaml --gap 0.5:2 --stable-phonons --cifs found
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.stores import CrystalFilter

    if as_json and csv_file == "-":
        raise InputError("--json and --csv - both want stdout; give the CSV a file")
    if conventional and cifs is None:
        raise InputError("--conventional: only with --cifs")
    asked = {name: value for name, value in conditions.items() if value not in {None, ()}}
    asked["state"] = None if "any" in state else state
    if gap is not None:
        asked["min_gap"], asked["max_gap"] = gap
    if confirmed is not None:
        asked["verdict" if confirmed == "0.1" else "verdict_25mev"] = "confirmed"
    wanted = CrystalFilter.make(asked)
    tabular = not (as_json or csv_file or cifs)
    most = limit if limit is not None else SHOWN if tabular else 0
    voice = Voice(quiet=as_json or csv_file == "-")
    with options.open_where(where) as stores:
        # one more than shown tells whether there are more
        found = stores.query(wanted, sort=sort, limit=most + 1 if tabular and most else most)
        rows = found[:most] if most else found
        if cifs is not None:
            names = write_cifs(stores, rows, cifs, conventional=conventional)
            voice.say(f"{len(names)} CIF files in {escape(str(cifs))}")
        if csv_file is not None:
            _write_csv(rows.to_csv(), csv_file, voice)
        if as_json:
            content = {"store": stores.where, "count": len(rows), "crystals": _plain(rows)}
            click.echo(json.dumps(content, indent=1))
        if tabular:
            judged = bool(rows) or _holds_any(stores)
            _print(voice, rows, more=len(found) > len(rows), judged=judged)


def write_cifs(
    stores: VogenStores, rows: CrystalRows, folder: Path, *, conventional: bool = False
) -> list[str]:
    """Write the relaxed structures of the rows; names of the files.

    With `conventional` the files list all atoms of the conventional standard cell.

    Raises
    ------
    OutputFolderError
        If the folder cannot be written.
    """
    from atomate2_vogen.cli.exports import relaxed_cif
    from atomate2_vogen.files import as_name, path_inside, write_atomically
    from atomate2_vogen.schemas import CandidateDoc

    criteria = {"candidate_id": {"$in": sorted({row.candidate_id for row in rows})}}
    origin = {c.candidate_id: c for c in stores.iterate(CandidateDoc, criteria)}
    several = len({row.candidate_id for row in rows}) < len(rows)
    names = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for document in rows.documents():
            candidate = origin.get(document.candidate_id)
            text = relaxed_cif(document, candidate, conventional=conventional)
            if text is None:
                continue
            stem = document.stability_id if several else document.candidate_id
            names.append(as_name(stem) + ".cif")
            write_atomically(path_inside(folder, names[-1]), text)
    except OSError as error:
        raise OutputFolderError(f"--cifs {folder}: cannot be written ({error.strerror})") from error
    return names


def _write_csv(text: str, target: str, voice: Voice) -> None:
    from atomate2_vogen.files import user_path, write_atomically

    if target == "-":
        click.echo(text, nl=False)
        return
    path = user_path(target)
    try:
        write_atomically(path, text)
    except OSError as error:
        raise OutputFolderError(f"--csv {target}: cannot be written ({error.strerror})") from error
    voice.say(f"Table in {escape(target)}")


def _plain(rows: Sequence[CrystalRow]) -> list[dict[str, Any]]:
    return [row.model_dump(mode="json") for row in rows]


def _holds_any(stores: VogenStores) -> bool:
    """Whether any crystal of the store has been judged."""
    return next(stores.read(stores.stability, {}, properties=["state"], limit=1), None) is not None


def _print(voice: Voice, rows: Sequence[CrystalRow], *, more: bool, judged: bool) -> None:
    if not judged:
        voice.out.print(
            "No crystal of this store has been judged yet; see vogen evaluate and vogen build."
        )
        return
    if not rows:
        voice.out.print("No crystal meets these conditions.")
        return
    voice.out.print(rows_table(rows))
    schemes = sorted({scheme for row in rows for scheme in _schemes(row)})
    voice.out.print(f"[dim]Energies in eV/atom, gaps in eV. By {escape(', '.join(schemes))}[/dim]")
    if more:
        voice.out.print(f"The first {len(rows)}; there are more: --limit 0 shows all.")


def _schemes(row: CrystalRow) -> list[str]:
    found = (row.scheme, row.electronic_scheme, row.phonon_scheme)
    return [scheme for scheme in found if scheme is not None]


def rows_table(rows: Sequence[CrystalRow]) -> Table:
    """One line per crystal; columns that would be empty are left out."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from atomate2_vogen.cli.tables import STYLES

    columns = {
        "candidate": [row.candidate_id for row in rows],
        "E_hull": [_number(row.energy_above_hull) for row in rows],
        "class": [row.paper_class or row.state for row in rows],
        "group": [row.space_group_symbol or _whole(row.space_group_number) for row in rows],
        "unique": [_answer(row.is_unique) for row in rows],
        "novel": [_answer(row.is_novel) for row in rows],
        "electrons": [row.character or "" for row in rows],
        "gap": [_number(row.gap, 2) for row in rows],
        "phonons": [row.phonon_verdict or "" for row in rows],
        "models": [row.verdict or "" for row in rows],
        "sampler": [row.sampler for row in rows],
    }
    kept = {name: cells for name, cells in columns.items() if any(cells)}
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    whole = {"candidate", "E_hull", "gap"}
    for name in kept:
        right = name in {"E_hull", "gap"}
        table.add_column(
            name,
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=name in whole,
        )
    for cells in zip(*kept.values(), strict=True):
        table.add_row(*(Text(cell or "–", STYLES.get(cell, "")) for cell in cells))
    return table


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _whole(value: int | None) -> str:
    return "" if value is None else str(value)


def _answer(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"
