"""``vogen doctor``: what is installed, which engines work here, and where things are."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from atomate2_vogen.cli import options
from atomate2_vogen.engines.loading import ENGINES

if TYPE_CHECKING:
    from rich.table import Table

    from atomate2_vogen.chemistry import OxideSystem

LOOKED_AT = (
    "atomate2-vogen", "atomate2", "jobflow", "maggma", "fireworks", "pymatgen", "phonopy",
    "custodian", "tensorflow", "keras", "torch", "chgnet", "sevenn", "diep",
)  # fmt: skip
"""What energies and workflows depend on; the last two are extras."""

TOLD_VARIABLES = ("VOGEN_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


@dataclass(frozen=True)
class EngineCheck:
    """Whether an engine can be used.

    Parameters
    ----------
    name
        Of the engine.
    scheme
        Its energy scale; empty where it does not work.
    references
        Whether relaxed reference phases of the system are shipped for it.
    phonons, bands
        Whether it has them.
    problem
        Why it does not work, and what to do.
    """

    name: str
    scheme: str = ""
    references: bool = False
    phonons: bool = False
    bands: bool = False
    problem: str = ""


@click.command(short_help="Say what is installed, which engines work, and where stores are.")
@options.system_option
@options.json_option
@click.pass_context
def doctor(ctx: click.Context, *, system: OxideSystem | None, as_json: bool) -> None:
    """Say what is installed, which engines work, and where stores are.

    Every engine is made as a command would make it: packages, weights, programs and files that it
    needs are looked for, and what is missing is named with what to do. Nothing is calculated. The
    exit code is 1 if the default engine does not work.

    \b
    Examples:
      vogen doctor
      vogen doctor --json > machine.json
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.cli.output import version_of

    system = system or VANADIUM
    packages = {name: version_of(name) for name in LOOKED_AT}
    machine = _machine()
    places = _places()
    shipped = _shipped(system)
    engines = [_check(name, system) for name in ENGINES]
    if as_json:
        content = {
            "system": system.chemsys,
            "packages": packages,
            "machine": machine,
            "places": places,
            "shipped": shipped,
            "engines": [asdict(one) for one in engines],
        }
        click.echo(json.dumps(content, indent=1))
    else:
        _print(system, packages, {**machine, **places, **shipped}, engines)
    if next(one for one in engines if one.name == "chgnet").problem:
        ctx.exit(1)


def _machine() -> dict[str, str]:
    """Python, cores, threads and devices."""
    threads = [f"{name}={os.environ[name]}" for name in TOLD_VARIABLES if name in os.environ]
    return {
        "Python": f"{platform.python_version()}, {platform.system()} {platform.machine()}",
        "cores": f"{options.usable_cores()} usable; {options.default_workers()} worker processes",
        "threads": ", ".join(threads) or "one per worker; as TensorFlow chooses in Python",
        "devices": _devices(),
    }


def _devices() -> str:
    """What PyTorch computes on; TensorFlow is not asked, which would take it seconds to load."""
    try:
        import torch
    except ImportError:
        return "CPU (PyTorch is not installed)"
    if torch.cuda.is_available():
        return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return "CPU"


def _places() -> dict[str, str]:
    """Where settings and stores are."""
    from atomate2_vogen.errors import SettingsError
    from atomate2_vogen.files import user_path
    from atomate2_vogen.masking import mask
    from atomate2_vogen.settings import settings

    found = settings()
    file = user_path(found.CONFIG_FILE, SettingsError)
    return {
        "settings": f"{file}{'' if file.exists() else ' (there is none: defaults)'}",
        "store": mask(found.STORE) if found.STORE else "store/ in each output folder",
    }


def _shipped(system: OxideSystem) -> dict[str, str]:
    """What of a system comes with the package."""
    from atomate2_vogen.models.shipped import shipped_path
    from atomate2_vogen.potential.shipped import potential_path

    files = {"networks": shipped_path("paper", system), "potential": potential_path(system)}
    return {
        name: file.name if file.is_file() else f"none shipped for {system.chemsys}"
        for name, file in files.items()
    }


def _check(name: str, system: OxideSystem) -> EngineCheck:
    """Make an engine as a command would."""
    from atomate2_vogen.engines import has_references, load_engine
    from atomate2_vogen.errors import VogenError, reason

    try:
        engine = load_engine(name, system)
        return EngineCheck(
            name,
            engine.scheme,
            has_references(engine, system),
            engine.phonon_maker is not None,
            engine.band_structure_maker is not None,
        )
    except VogenError as error:
        return EngineCheck(name, problem=reason(error).strip())


def _print(
    system: OxideSystem,
    packages: dict[str, str | None],
    facts: dict[str, str],
    engines: list[EngineCheck],
) -> None:
    from rich.markup import escape
    from rich.padding import Padding
    from rich.text import Text

    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.masking import printable

    out = Voice().out
    for name, text in facts.items():
        out.print(f"{name:<11}{escape(printable(text))}", soft_wrap=True)
    listed = [
        f"{name} {version or '[yellow]missing[/yellow]'}" for name, version in packages.items()
    ]
    out.print(Padding(Text.from_markup(", ".join(listed)), (1, 0, 1, 0)))
    out.print(f"Engines for {system.chemsys}")
    out.print(_engine_table(engines))
    problems: dict[str, list[str]] = {}
    for one in engines:
        if one.problem:
            problems.setdefault(one.problem, []).append(one.name)
    for problem, names in problems.items():
        # line by line: commands to install something are to be copied
        lines = "\n".join(escape(printable(line)) for line in problem.splitlines())
        out.print(f"[yellow]{', '.join(names)}[/yellow]: {lines}", soft_wrap=True)


def _engine_table(engines: list[EngineCheck]) -> Table:
    """Which engines work, and what each can do."""
    from atomate2_vogen.cli.tables import plain_table, yes_or_no

    table = plain_table()
    for name in ("engine", "works", "energy scale", "references", "phonons", "bands"):
        table.add_column(name, no_wrap=name != "energy scale", overflow="fold")
    for one in engines:
        works = not one.problem
        can = [
            yes_or_no(value) if works else "" for value in (one.references, one.phonons, one.bands)
        ]
        table.add_row(one.name, yes_or_no(works), one.scheme, *can)
    return table
