"""Known crystals of the user: ``--known`` of two commands, and ``vogen known`` to get some."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from atomate2_vogen.cli import options
from atomate2_vogen.cli.console import Voice
from atomate2_vogen.errors import InputError

if TYPE_CHECKING:
    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.schemas import KnownDoc
    from atomate2_vogen.stores import VogenStores


def read_known(paths: Sequence[Path], system: OxideSystem, voice: Voice) -> list[KnownDoc]:
    """Crystals of files and folders; those that cannot be used are named and left out.

    Raises
    ------
    InputError
        If none can be used.
    """
    from atomate2_vogen.schemas import KnownDoc
    from atomate2_vogen.structures.reading.structures import read_structures

    if not paths:
        return []
    good, bad = read_structures(paths, system)
    for file in bad:
        voice.warn(f"--known: left out: {escape(str(file.error))}")
    if not good:
        raise InputError(
            f"--known: no crystal of {system.chemsys} in {', '.join(map(str, paths))}; give CIF or "
            "POSCAR files, or folders of them"
        )
    return [KnownDoc.make(file.structure, file.label) for file in good]


def set_known(stores: VogenStores, crystals: Sequence[KnownDoc]) -> None:
    """Withdraw known crystals of earlier runs into the folder: it shows this run's novelty.

    They stay, for the jobs that brought them do, from which the store would be given them again.
    """
    from datetime import UTC, datetime

    from atomate2_vogen.schemas import KnownDoc

    ours = {one.known_id for one in crystals}
    changed = [
        one.model_copy(update={"withdrawn": is_other, "last_updated": datetime.now(UTC)})
        for one in stores.iterate(KnownDoc)
        if one.withdrawn != (is_other := one.known_id not in ours)
    ]
    stores.save(changed)


@click.command(short_help="Download known crystals of a system from the Materials Project.")
@options.system_option
@click.option(
    "--from-mp", is_flag=True, required=True, help="From the Materials Project; needs a key."
)
@click.option(
    "--max-hull",
    type=float,
    help="Largest energy above the Materials Project's hull, eV/atom.  [default: all]",
)
@options.json_option
@options.out_option("known_mp")
def known(
    *,
    system: OxideSystem | None,
    from_mp: bool,
    max_hull: float | None,
    as_json: bool,
    out: Path,
) -> None:
    """Download the crystals of a system that the Materials Project knows, as CIF files.

    Give the folder to --known of vogen discover or vogen evaluate: a crystal that matches one of
    them is then not novel. The key comes from https://materialsproject.org/dashboard; set
    the environment variable PMG_MAPI_KEY.

    \b
    Examples:
      vogen known --from-mp
      vogen known --from-mp --system Ti-O --out known_titanium
      vogen evaluate my_crystals/ --known known_mp
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.data.materials_project import download_known
    from atomate2_vogen.files import write_atomically

    del from_mp  # the only source so far; named, so that another needs no new command
    system = system or VANADIUM
    documents = download_known(system, max_hull=max_hull)
    if not documents:
        raise InputError(
            f"the Materials Project has no crystal of {system.chemsys} that low; give another "
            "--max-hull"
        )
    out.mkdir(parents=True, exist_ok=True)
    for one in documents:
        write_atomically(out / f"{one.name}.cif", one.structure.to(fmt="cif").encode())
    if as_json:
        names = [one.name for one in documents]
        click.echo(json.dumps({"out": str(out), "crystals": names}, indent=1))
    Voice(quiet=as_json).say(f"{len(documents)} crystals of {system.chemsys} in {escape(str(out))}")
