"""Whether VASP can run here: its command and its POTCARs, looked for before any job is."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from atomate2_vogen.errors import EngineSetupError


def vasp_command(command: str | None = None) -> str:
    """The command that atomate2 will run: the one given, or that of its settings."""
    if command:
        return command
    from atomate2 import SETTINGS

    return str(SETTINGS.VASP_CMD)


def check_setup(
    potcars: Iterable[str],
    functional: str,
    command: str | None = None,
    *,
    potcar_spec: bool = False,
) -> None:
    """Refuse to go on where VASP cannot run.

    Parameters
    ----------
    potcars
        Symbols of the POTCARs that will be asked for.
    functional
        Release of the POTCARs in pymatgen's words, e.g. ``PBE_54``.
    command
        Command line of VASP; atomate2's ``VASP_CMD`` by default.
    potcar_spec
        Whether only a POTCAR.spec is written: then no POTCAR is looked for.

    Raises
    ------
    EngineSetupError
        Naming everything that is missing and what to do about it.
    """
    problems = _command_problems(vasp_command(command))
    if not potcar_spec:
        problems += _potcar_problems(sorted(set(potcars)), functional)
    if problems:
        raise EngineSetupError("VASP cannot run here: " + "; ".join(problems))


def _command_problems(command: str) -> list[str]:
    words = shlex.split(os.path.expandvars(command))
    # behind mpirun or srun and its options stands the program itself
    programs = words[:1] + [word for word in words[1:] if Path(word).name.startswith("vasp")]
    missing = [program for program in programs if shutil.which(program) is None]
    if words and not missing:
        return []
    advice = (
        "set VASP_CMD in ~/.atomate2.yaml or ATOMATE2_VASP_CMD in the environment, e.g. 'srun "
        "vasp_std'; where VASP runs on another machine make the engine with check=False"
    )
    return [f"the command {' and '.join(missing) or repr(command)} is not found ({advice})"]


def _potcar_problems(symbols: list[str], functional: str) -> list[str]:
    from pymatgen.core import SETTINGS
    from pymatgen.io.vasp.inputs import PotcarSingle

    folder = SETTINGS.get("PMG_VASP_PSP_DIR")
    advice = (
        "arrange your licensed POTCARs with 'pmg config -p <from> <to>' and name the folder with "
        "'pmg config --add PMG_VASP_PSP_DIR <to>' or in the environment"
    )
    if not folder:
        return [f"no folder of POTCARs is named ({advice})"]
    if not Path(folder).expanduser().is_dir():
        return [f"the folder of POTCARs {folder} does not exist ({advice})"]
    problems = []
    for symbol in symbols:
        try:
            PotcarSingle.from_symbol_and_functional(symbol, functional)
        except (OSError, ValueError, KeyError) as error:
            reason = "is not there" if isinstance(error, FileNotFoundError) else f"fails: {error}"
            problems.append(f"POTCAR {symbol} of {functional} in {folder} {reason} ({advice})")
    return problems


def potcar_symbols(table: Mapping[str, str], elements: Iterable[str]) -> list[str]:
    """POTCAR symbols of elements by an input set's table, one that it lacks by its own name."""
    return [table.get(element, element) for element in elements]
