"""Options that several verbs share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from atomate2_vogen.engines.loading import ENGINES
from atomate2_vogen.errors import CountsError
from atomate2_vogen.files import user_path
from atomate2_vogen.samplers.loading import DEFAULT, SAMPLERS, WITHOUT_POTENTIAL

if TYPE_CHECKING:
    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.stores import VogenStores

DEFAULT_COUNT = 8
"""Crystals per target formula where none are asked for."""

PRESETS = ("quick", "paper")


class UserPath(click.Path):
    """A file or folder that a user names; a path that none can have is refused."""

    def __init__(self, **kinds: bool) -> None:
        super().__init__(path_type=Path, **kinds)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, with ``~`` replaced."""
        return super().convert(user_path(value), param, ctx)


def default_preset(system: OxideSystem) -> str:
    """The paper's sizes where their trained networks are shipped, else what trains in minutes."""
    from atomate2_vogen.models.shipped import shipped_path

    return "paper" if shipped_path("paper", system).is_file() else "quick"


def default_sampler(system: OxideSystem) -> str:
    """The sampler that finds most; where its potential is not shipped, the next best."""
    from atomate2_vogen.potential.shipped import potential_path

    return DEFAULT if potential_path(system).is_file() else WITHOUT_POTENTIAL


def usable_cores() -> int:
    """Cores that this process may use, not those of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def default_workers() -> int:
    """As many as the settings say, else one per usable core."""
    from atomate2_vogen.settings import settings

    return settings().WORKERS or usable_cores()


def parse_counts(entries: tuple[str, ...], system: OxideSystem) -> dict[str, int]:
    """Counts by reduced formula from texts like ``A=8,B=4``; equal counts if there are none.

    Raises
    ------
    CountsError
        If an entry is not of this form, a count is not a positive whole number, or a formula
        comes twice.
    UnknownFormulaError
        If a formula is not a compound of the system.
    """
    from atomate2_vogen.samplers.base import check_counts

    if not entries:
        return dict.fromkeys(system.target_formulas, DEFAULT_COUNT)
    counts: dict[str, int] = {}
    for part in ",".join(entries).split(","):
        formula, separator, number = (piece.strip() for piece in part.partition("="))
        if not (formula and separator and number):
            example = f"{system.target_formulas[0]}={DEFAULT_COUNT}"
            raise CountsError(f"--counts {part!r}: write FORMULA=NUMBER, for example {example}")
        try:
            count = int(number)
        except ValueError as error:
            raise CountsError(
                f"--counts {part}: {number!r} is not a whole number of crystals"
            ) from error
        if formula in counts:
            raise CountsError(f"--counts: {formula} is given twice")
        counts[formula] = count
    return check_counts(counts, system)


def system_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--system``; the command gets an `OxideSystem`, or None where none is given."""
    return click.option(
        "--system",
        metavar="METAL-O|FILE",
        callback=_system,
        help="Chemical system, for example Ti-O; or a .json or .yaml file with the fields of an "
        "OxideSystem.  [default: the oxides of vanadium]",
    )(function)


def _system(
    context: click.Context, _parameter: click.Parameter, value: str | None
) -> OxideSystem | None:
    if value is None or context.resilient_parsing:
        return None
    from atomate2_vogen.data.systems import load_system

    return load_system(value)


def counts_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--counts``."""
    return click.option(
        "--counts",
        "-n",
        multiple=True,
        metavar="FORMULA=NUMBER[,…]",
        help="Number of crystals of each formula; may be repeated.  "
        f"[default: {DEFAULT_COUNT} of each target formula]",
    )(function)


def sampler_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--sampler`` (None where it is not given), ``--preset`` and ``--seed``."""
    function = click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        default=0,
        show_default=True,
        help="Random seed; the same seed gives the same crystals.",
    )(function)
    function = click.option(
        "--preset",
        type=click.Choice(PRESETS),
        show_default="paper if its trained networks are shipped, else quick",
        help="Size of the networks for --sampler wgan; networks that are not shipped are trained "
        "first.",
    )(function)
    return click.option(
        "--sampler",
        type=click.Choice(list(SAMPLERS)),
        show_default=f"{DEFAULT}, or {WITHOUT_POTENTIAL} where no potential is shipped for the "
        "system; with options for one sampler alone, that one",
        help="Generator of crystals: search relaxes random crystals on a learned potential; "
        "evolution makes crystals of others; wgan samples from trained networks; substitution and "
        "random are baselines.",
    )(function)


class EngineType(click.ParamType):
    """Name of an engine, or ``module:function`` of one's own.

    Parameters
    ----------
    able
        Field of `EngineName` that a named engine must have: ``phonons`` or ``bands``.
    """

    name = "ENGINE"

    def __init__(self, able: str = "") -> None:
        self.names = [name for name, entry in ENGINES.items() if not able or getattr(entry, able)]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name; a function of one's own may lie in the current folder."""
        name = str(value).strip()
        if name in self.names:
            return name
        module, colon, function = name.partition(":")
        if not (module and colon and function):
            listed = ", ".join(self.names)
            self.fail(f"{name!r} is none of {listed}, and no module:function", param, ctx)
        _add_current_folder()
        return name

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names that begin so."""
        return [CompletionItem(name) for name in self.names if name.startswith(incomplete)]


class CommaList(click.ParamType):
    """Texts with commas between them; subclasses check each."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The parts, in their order."""
        if isinstance(value, tuple):
            return value
        return tuple(self.part(part.strip(), param, ctx) for part in str(value).split(","))

    def part(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """One part, or a failure that names it."""
        raise NotImplementedError


class NameList(CommaList):
    """Some of the names that there are, each once.

    Parameters
    ----------
    kind
        What they name, for the help.
    names
        Those that there are.
    """

    def __init__(self, kind: str, names: Iterable[str]) -> None:
        self.name = f"{kind}[,…]"
        self.names = tuple(names)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The names, each once."""
        return tuple(dict.fromkeys(super().convert(value, param, ctx)))

    def part(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """A name."""
        if text not in self.names:
            self.fail(f"{text!r} is none of {', '.join(self.names)}", param, ctx)
        return text


class EngineList(NameList):
    """Names of engines, or functions of one's own, each once."""

    def __init__(self) -> None:
        super().__init__("ENGINE", ENGINES)

    def part(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As one engine."""
        return EngineType().convert(text, param, ctx)


def _add_current_folder() -> None:
    """Let this process and its workers import modules of the current folder."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if folder not in known:
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, *filter(None, known)])


def engine_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--engine``."""
    return click.option(
        "--engine",
        type=EngineType(),
        default="chgnet",
        show_default=True,
        help=f"Energy model for relaxations and energies: {', '.join(ENGINES)}; or "
        "module:function, a function of yours that returns an Engine.",
    )(function)


def refine_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--refine/--no-refine``; None where neither is given."""
    return click.option(
        "--refine/--no-refine",
        default=None,
        help="Make relaxed crystals symmetric at growing tolerances (0.01 to 0.5 Å), relax them "
        "again, and keep what is not higher by more than 1 meV/atom.  [default: on for force "
        "fields, off for DFT]",
    )(function)


def refine_identity(engine: str, refine: bool | None) -> dict[str, bool]:
    """What of ``--refine`` decides a run; nothing where it is the engine's default."""
    # engines with bands are DFT codes; the default of one's own engine is not known here
    default = not ENGINES[engine].bands if engine in ENGINES else None
    return {} if refine in {None, default} else {"refine": bool(refine)}


def characterisation_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--electronic``, ``--phonons``, ``--top`` and ``--threshold``."""
    function = click.option(
        "--threshold",
        type=float,
        default=0.1,
        show_default=True,
        help="With --electronic or --phonons: largest energy above hull of crystals to "
        "characterise, eV/atom.",
    )(function)
    function = click.option(
        "--top",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="With --electronic or --phonons: largest number of crystals to characterise per "
        "formula.",
    )(function)
    function = click.option(
        "--phonons",
        type=EngineType("phonons"),
        help="Energy model for harmonic phonons of the crystals lowest above hull.",
    )(function)
    return click.option(
        "--electronic",
        type=EngineType("bands"),
        help="DFT code for bands, density of states and magnetic character of the crystals lowest "
        "above hull.",
    )(function)


def workers_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--workers``."""
    return click.option(
        "--workers",
        "-j",
        type=click.IntRange(1),
        default=default_workers,
        show_default="the setting WORKERS, else usable cores",
        help="Number of parallel processes, one thread each; sampling uses one more.",
    )(function)


def known_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--known``."""
    return click.option(
        "--known",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Further known crystals, files or folders of CIF or POSCAR files: what matches one of "
        "them is not novel. May be given several times.",
    )(function)


class SymbolList(CommaList):
    """Symbols of elements; one may come again."""

    name = "SYMBOL[,…]"

    def part(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """A symbol."""
        from pymatgen.core import Element

        if not Element.is_valid_symbol(text):
            self.fail(f"{text!r} is no symbol of an element", param, ctx)
        return text


def elements_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--elements``."""
    return click.option(
        "--elements",
        type=SymbolList(),
        help="Elements of POSCAR files of VASP 4, which have no symbols, in the order of their "
        "groups of atoms.",
    )(function)


def out_option(default: str | None) -> Callable[..., Any]:
    """Make an ``--out`` option."""
    return click.option(
        "--out",
        "-o",
        type=UserPath(),
        default=default,
        show_default=True,
        help="Output folder. The same command with the same folder continues where it stopped.",
    )


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print results as JSON on stdout, and nothing else."
    )(function)


def launchpad_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--launchpad``."""
    return click.option(
        "--launchpad",
        "-l",
        type=UserPath(),
        help="LaunchPad file of FireWorks (my_launchpad.yaml).  [default: the one that FireWorks "
        "finds]",
    )(function)


def where_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``WHERE``, the place of a store; see `open_where`."""
    return click.argument("where", required=False)(function)


def open_where(where: str | None) -> VogenStores:
    """Open a store that exists.

    Parameters
    ----------
    where
        An output folder of a run, the folder of a store, a MongoDB URI, a YAML file, or None for
        what the setting ``STORE`` names, and without it jobflow's settings.

    Raises
    ------
    StoreAddressError
        If there is no store, or no address of one.
    StoreConnectionError
        If it cannot be opened.
    """
    from atomate2_vogen.settings import settings
    from atomate2_vogen.stores import VogenStores

    if where is None:
        where = settings().STORE
    return VogenStores.open(where)
