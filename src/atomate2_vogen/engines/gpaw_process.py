"""GPAW as a separate program: a request in JSON, a result in JSON, and what can go wrong.

GPAW is under the GPL and never imported by this package. `files/gpaw_driver.py` runs under
GPAW's own Python, reads a request file and writes a result file.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

from atomate2_vogen.errors import (
    ConvergenceError,
    EngineOutputError,
    EngineStoppedError,
    EngineTimeoutError,
    MissingDependencyError,
)
from atomate2_vogen.settings import settings

PROTOCOL_VERSION = 1
"""Of requests and results; the driver refuses another one."""

COMMAND_VARIABLE = "GPAW_COMMAND"
"""Environment variable that names GPAW's Python, e.g. ``mpiexec -n 2 gpaw python``."""

REQUEST, RESULT, LOG, TEXT, DENSITY = (
    "request.json",
    "result.json",
    "driver.log",
    "gpaw.txt",
    "density.gpw",
)

INSTALL = f"""\
GPAW (GPL-3) runs as a separate program, in a separate environment. On Debian:
  apt-get install gcc libxc-dev libopenblas-dev libfftw3-dev libopenmpi-dev openmpi-bin
  python3 -m venv gpaw-env
  printf 'compiler = "mpicc"\\nmpi = True\\nfftw = True\\n' > siteconfig.py
  printf 'libraries = ["xc", "fftw3", "openblas"]\\n' >> siteconfig.py
  GPAW_CONFIG=$PWD/siteconfig.py gpaw-env/bin/pip install --no-binary gpaw "gpaw>=26,<27"
  export {COMMAND_VARIABLE}="$PWD/gpaw-env/bin/python"
(examples/gpaw/install.sh of the source does the same.) With two processes:
  export {COMMAND_VARIABLE}="mpiexec -n 2 $PWD/gpaw-env/bin/gpaw python\""""
"""What a message about a missing GPAW ends with."""

PROBE_SECONDS = 120.0
KILL_SECONDS = 10.0
LOG_LINES = 12
MPI_PREFIXES = ("OMPI_COMM_", "PMI_", "PMIX_")
WATCH = b"watch\n"
"""First line on the driver's input: it then ends itself as soon as the input ends, which it
does when this process dies, however it dies."""


def resolve_command(command: str = "") -> tuple[str, ...]:
    """Words that start GPAW's Python.

    Parameters
    ----------
    command
        As for a shell, e.g. ``mpiexec -n 2 gpaw python``. Empty: the environment variable
        ``GPAW_COMMAND``, then the setting of this name, and without either ``gpaw python`` if
        gpaw is on the path.

    Raises
    ------
    MissingDependencyError
        If there is no command, or its program does not exist. The message has install lines.
    """
    text = command or os.environ.get(COMMAND_VARIABLE) or settings().GPAW_COMMAND
    words = tuple(shlex.split(text))
    if not words:
        if found := shutil.which("gpaw"):
            return (found, "python")
        raise MissingDependencyError(
            f"the engine gpaw finds no GPAW: no command was given, {COMMAND_VARIABLE} is not set "
            f"and gpaw is not on the path.\n{INSTALL}"
        )
    program = shutil.which(words[0])
    if program is None:
        raise MissingDependencyError(
            f"the engine gpaw cannot start {text!r}: there is no program {words[0]}.\n{INSTALL}"
        )
    # jobs run in separate folders
    return (os.path.abspath(program), *words[1:])  # noqa: PTH100 - a link in a venv stays one


def find_gpaw(command: str = "") -> dict[str, str]:
    """Versions of gpaw, ase and numpy behind a command, asked for once per process.

    Raises
    ------
    MissingDependencyError
        If the command does not start a Python that has GPAW.
    """
    return dict(_probe(resolve_command(command)))


@cache
def _probe(words: tuple[str, ...]) -> dict[str, str]:
    return {str(name): str(found) for name, found in _answer(words, "versions").items()}


def valence_electrons(symbols: tuple[str, ...], command: str = "") -> dict[str, int]:
    """Valence electrons of GPAW's data sets by element, asked for once per process.

    Raises
    ------
    MissingDependencyError
        As `find_gpaw`.
    """
    return dict(_valence(resolve_command(command), symbols))


@cache
def _valence(words: tuple[str, ...], symbols: tuple[str, ...]) -> dict[str, int]:
    answer = _answer(words, "valence", *symbols)
    return {symbol: int(answer[symbol]) for symbol in symbols}


def _answer(words: tuple[str, ...], question: str, *more: str) -> dict[str, Any]:
    """What the driver prints about GPAW itself."""
    with resources.as_file(_driver()) as driver:
        try:
            done = subprocess.run(  # noqa: S603 - the user's own command
                [*words, str(driver), question, *more],
                capture_output=True,
                check=False,
                stdin=subprocess.DEVNULL,
                timeout=PROBE_SECONDS,
                env=_environment(),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MissingDependencyError(
                f"the engine gpaw cannot start {shlex.join(words)!r}: {error}\n{INSTALL}"
            ) from error
    for line in done.stdout.decode(errors="replace").splitlines():
        with contextlib.suppress(ValueError, TypeError, KeyError):
            answer = json.loads(line)
            if answer["schema_version"] == PROTOCOL_VERSION:
                return dict(answer[question])
    said = "\n".join((done.stdout + done.stderr).decode(errors="replace").splitlines()[-LOG_LINES:])
    raise MissingDependencyError(
        f"{shlex.join(words)!r} starts no Python that has GPAW (exit code {done.returncode}):\n"
        f"{said}\n{INSTALL}"
    )


def run_driver(
    request: dict[str, Any],
    folder: Path,
    *,
    command: str = "",
    timeout: float | None = None,
) -> dict[str, Any]:
    """Run one task and wait for its result.

    Parameters
    ----------
    request
        JSON-like; `PROTOCOL_VERSION` is added.
    folder
        An existing folder for the files of this run alone.
    command
        As in `resolve_command`.
    timeout
        Seconds after which GPAW and its children are ended; None waits for ever.

    Returns
    -------
    dict
        The result as the driver wrote it.

    Raises
    ------
    MissingDependencyError
        If GPAW cannot be started.
    ConvergenceError, EngineTimeoutError, EngineStoppedError, EngineOutputError
        If it gave no result. The message ends with the last lines of its log.
    """
    words = resolve_command(command)
    result, log = folder / RESULT, folder / LOG
    (folder / REQUEST).write_text(
        json.dumps({"schema_version": PROTOCOL_VERSION, **request}, allow_nan=False),
        encoding="utf-8",
    )
    with resources.as_file(_driver()) as driver, log.open("wb") as output:
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own command
                [*words, str(driver), REQUEST, RESULT],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=_environment(),
            )
        except OSError as error:
            raise MissingDependencyError(
                f"the engine gpaw cannot start {shlex.join(words)!r}: {error}\n{INSTALL}"
            ) from error
        with _ended(process):
            _watch(process)
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise EngineTimeoutError(
                    f"GPAW did not end within {timeout:g} s; reduce the cell or raise timeout"
                    f"{_tail(folder)}"
                ) from None
    if not result.is_file():
        _explain(code, folder)
    return _read(result, folder)


def _driver() -> Any:
    return resources.files("atomate2_vogen.engines") / "files" / "gpaw_driver.py"


def _environment() -> dict[str, str]:
    """Environment of this process, with one thread per rank unless the user sets another number.

    Where this process is itself one of an MPI program, GPAW must not take itself for another.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(MPI_PREFIXES)}
    return {"OMP_NUM_THREADS": "1", **kept}


def _watch(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it is gone already; its exit code says why
        process.stdin.write(WATCH)
        process.stdin.flush()


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End the process and its children if it still runs when the block ends, also by an exception."""
    try:
        yield
    finally:
        if process.poll() is None:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(KILL_SECONDS)
                    break
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()


def _explain(code: int, folder: Path) -> NoReturn:
    """Raise what a run without a result means."""
    log = _last_lines(folder / LOG)
    if any("No module named 'gpaw'" in line for line in log):
        raise MissingDependencyError(
            f"the Python that {COMMAND_VARIABLE} names has no GPAW.\n{INSTALL}"
        )
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", perhaps out of memory" if name == "SIGKILL" else ""
        raise EngineStoppedError(f"GPAW was ended by {name}{hint}{_tail(folder)}")
    if code > 0:
        raise EngineStoppedError(f"GPAW ended with exit code {code}{_tail(folder)}")
    raise EngineOutputError(f"GPAW ended well and left no {RESULT}{_tail(folder)}")


def _read(result: Path, folder: Path) -> dict[str, Any]:
    try:
        content = json.loads(result.read_text(encoding="utf-8"), parse_constant=_refuse)
        found = content["schema_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineOutputError(f"{RESULT} of GPAW is damaged: {error}{_tail(folder)}") from error
    if found != PROTOCOL_VERSION:
        raise EngineOutputError(
            f"{RESULT} has version {found}, this package reads {PROTOCOL_VERSION}; let "
            f"{COMMAND_VARIABLE} start the driver of this installation"
        )
    if failure := content.get("error"):
        kind, message = failure.get("kind"), failure.get("message")
        if kind == "not converged":
            raise ConvergenceError(
                f"the self-consistent cycle did not converge: {message}{_tail(folder)}"
            )
        raise EngineStoppedError(f"GPAW failed with {kind}: {message}{_tail(folder)}")
    return content


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it holds {constant}")


def _tail(folder: Path) -> str:
    """Last lines of the program's text and of what it printed, for a message."""
    lines = [*_last_lines(folder / TEXT), *_last_lines(folder / LOG)]
    if not lines:
        return ""
    return "\nlast lines of its log:\n  " + "\n  ".join(lines)


def _last_lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-LOG_LINES:]
