"""Makers of GPAW jobs, with the call shape of atomate2's Makers for VASP.

Each job works in a new folder below the current one; ``dir_name`` of its document
names it. A band structure starts from the density that a static calculation left there, so both
must see the same disk.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jobflow import Flow, Job, Maker, job
from pymatgen.core import Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.electrons.kpath import high_symmetry_path
from atomate2_vogen.engines.cells import reduced
from atomate2_vogen.engines.gpaw_process import DENSITY, REQUEST, run_driver
from atomate2_vogen.engines.gpaw_schema import GpawInput, GpawObject, GpawTaskDoc
from atomate2_vogen.engines.gpaw_settings import GpawSettings, mesh
from atomate2_vogen.errors import EngineOutputError, InputError
from atomate2_vogen.structures.geometry import check_structure
from atomate2_vogen.structures.magnetism import given_moments, renewed_moments, with_moments

HOUR = 3600.0

BAND_STRUCTURE_TYPES = ("both", "uniform", "line")


def gpaw_job(method: Any) -> Any:
    """Decorate a Maker's ``make``: large objects go to the ``data`` store."""
    return job(method, data=[kind.value for kind in GpawObject], output_schema=GpawTaskDoc)


def prepared(structure: Structure, system: OxideSystem) -> Structure:
    """The same crystal in its Niggli cell, sites in the same order, fit for a calculation.

    In a strongly skewed cell GPAW's mesh is poor and a cycle that would converge does not. Of site
    properties only the moments stay.

    Raises
    ------
    NonFiniteError, DisorderError, ElementError, OverlapError, MagneticMomentError
        If no energy of this structure can be trusted.
    """
    check_structure(structure, system)
    symbols = [site.specie.symbol for site in structure]
    bare = reduced(Structure(structure.lattice, symbols, structure.frac_coords))
    return with_moments(bare, given_moments(structure))


@dataclass
class GpawMaker(Maker):
    """Base class of the Makers of GPAW.

    Parameters
    ----------
    name
        Name of the job.
    settings
        Numerical choices.
    system
        Oxide system: +U, initial moments, minimum distances.
    command
        Words that start GPAW's Python, e.g. ``mpiexec -n 2 gpaw python``. Empty: the
        environment variable ``GPAW_COMMAND`` where the job runs, else ``gpaw python``.
    timeout
        Seconds after which GPAW is ended; None waits for ever.
    fresh_moments
        Start a self-consistent cycle from the magnitudes of `system`; the signs are those of the
        moments that the structure carries (`structures.magnetism.renewed_moments`), so that a static
        calculation starts as the relaxation before it did. False: from the structure's moments as
        they are. Where the structure carries none, from those of the elements.
    """

    name: str = "GPAW"
    settings: GpawSettings = field(default_factory=GpawSettings)
    system: OxideSystem = VANADIUM
    command: str = ""
    timeout: float | None = 4 * HOUR
    fresh_moments: bool = field(default=True, kw_only=True)

    def _initial_moments(self, structure: Structure) -> list[float]:
        """Moments in μB by site that a self-consistent cycle starts from."""
        moments = given_moments(structure)
        if self.fresh_moments:
            moments = renewed_moments(structure, self.system)
        if moments is None:
            table = self.system.initial_moments
            moments = [float(table.get(site.specie.symbol, 0.0)) for site in structure]
        return moments

    def _run(
        self,
        task: str,
        structure: Structure,
        *,
        relax: dict[str, Any] | None = None,
        labels: dict[str, tuple[float, float, float]] | None = None,
        **request: Any,
    ) -> GpawTaskDoc:
        """Run one task of the driver and parse its result."""
        parameters = self.settings.parameters(structure, self.system)
        symbols = [site.specie.symbol for site in structure]
        moments = self._initial_moments(structure)
        given = GpawInput(
            scheme=self.settings.scheme(self.system),
            task=task,
            settings=asdict(self.settings),
            parameters=parameters,
            mesh=parameters["mesh"],
            initial_moments=moments,
            relax=relax,
        )
        content = {
            "task": task,
            "structure": {
                "symbols": symbols,
                "cell": structure.lattice.matrix.tolist(),
                "scaled_positions": structure.frac_coords.tolist(),
                "magmoms": moments,
            },
            "parameters": parameters,
            **request,
        }
        if relax is not None:
            content["relax"] = relax
        folder = Path(tempfile.mkdtemp(prefix=f"gpaw-{task}-", dir=Path.cwd()))
        begin = time.perf_counter()
        result = run_driver(content, folder, command=self.command, timeout=self.timeout)
        return GpawTaskDoc.from_result(
            result,
            request=given,
            structure=structure,
            labels=labels,
            dir_name=str(folder),
            elapsed_time=time.perf_counter() - begin,
        )


@dataclass
class GpawStaticMaker(GpawMaker):
    """Energy, forces, stress and moments of a fixed crystal.

    Parameters
    ----------
    name, settings, system, command, timeout, fresh_moments
        As `GpawMaker`.
    keep_density
        Leave the density in the folder of the job, for a band structure: some MB.

    Examples
    --------
    >>> from atomate2_vogen.engines import GpawStaticMaker
    >>> GpawStaticMaker(keep_density=False).name
    'GPAW static'
    """

    name: str = "GPAW static"
    keep_density: bool = True

    @gpaw_job
    def make(self, structure: Structure, prev_dir: str | Path | None = None) -> GpawTaskDoc:  # noqa: ARG002
        """Job of one calculation, in the Niggli cell of the structure.

        Parameters
        ----------
        structure
            Crystal of the oxide system.
        prev_dir
            Not used; it is there for flows that give one.

        Raises
        ------
        InputError
            If the structure cannot be calculated.
        EngineError
            If GPAW gave no result.
        """
        return self._run("static", prepared(structure, self.system), keep_density=self.keep_density)


@dataclass
class GpawRelaxMaker(GpawMaker):
    """Relaxation of positions and cell by BFGS in ASE's Fréchet cell filter.

    Parameters
    ----------
    name, settings, system, command, timeout, fresh_moments
        As `GpawMaker`.
    fmax
        Force criterion in eV/Å, on atoms and on the cell.
    steps
        Most ionic steps. What is not converged by then is recorded as such.
    relax_cell
        False keeps the cell.
    max_step
        Longest step in Å.

    Examples
    --------
    >>> from atomate2_vogen.engines import GpawRelaxMaker
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> GpawRelaxMaker(fmax=0.02).make(crystal).name
    'GPAW relax'
    """

    name: str = "GPAW relax"
    timeout: float | None = 24 * HOUR
    fmax: float = 0.05
    steps: int = 100
    relax_cell: bool = True
    max_step: float = 0.15

    @gpaw_job
    def make(self, structure: Structure, prev_dir: str | Path | None = None) -> GpawTaskDoc:  # noqa: ARG002
        """Job of one relaxation, in the Niggli cell of the structure.

        Parameters
        ----------
        structure
            Crystal of the oxide system.
        prev_dir
            Not used; it is there for flows that give one.

        Raises
        ------
        InputError
            If the structure cannot be calculated.
        EngineError
            If GPAW gave no result.
        """
        return self._run(
            "relax",
            prepared(structure, self.system),
            relax={
                "fmax": self.fmax,
                "steps": self.steps,
                "cell": self.relax_cell,
                "max_step": self.max_step,
            },
        )


@dataclass
class GpawNonSCFMaker(GpawMaker):
    """Bands in the potential of a static calculation, on a mesh or along lines.

    Examples
    --------
    >>> from atomate2_vogen.engines import GpawNonSCFMaker
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> GpawNonSCFMaker().make(crystal, "static_calculation", mode="line").name
    'GPAW non-scf'
    """

    name: str = "GPAW non-scf"

    @gpaw_job
    def make(
        self, structure: Structure, prev_dir: str | Path | None, mode: str = "uniform"
    ) -> GpawTaskDoc:
        """Job of one band structure.

        The Fermi level is that of the static calculation, in both modes.

        Parameters
        ----------
        structure
            That of the static calculation's document.
        prev_dir
            Folder of the static calculation.
        mode
            ``uniform``: a mesh and the density of states. ``line``: high-symmetry lines.

        Raises
        ------
        InputError
            If the mode is unknown, or the static calculation had other settings.
        EngineOutputError
            If the folder holds no density, or that of another crystal.
        EngineError
            If GPAW gave no result.
        """
        density = _density(prev_dir, self.settings.parameters(structure, self.system))
        common: dict[str, Any] = {
            "density": str(density),
            "empty_bands": self.settings.empty_bands,
            "bands_tolerance": self.settings.bands_tolerance,
        }
        if mode == "uniform":
            return self._run(
                "uniform",
                structure,
                mesh=list(mesh(structure, self.settings.uniform_kspacing)),
                dos={
                    "step": self.settings.dos_step,
                    "width": self.settings.dos_width,
                    "below": self.settings.dos_below,
                },
                **common,
            )
        if mode == "line":
            path = high_symmetry_path(structure, self.settings.line_density, self.settings.k_path)
            return self._run(
                "line", structure, labels=path.labels, kpoints=path.kpoints.tolist(), **common
            )
        raise InputError(f"mode {mode!r} is none of uniform and line")


@dataclass
class GpawBandStructureMaker(Maker):
    """Static calculation, then bands on a mesh with the density of states, and along lines.

    Parameters
    ----------
    name
        Name of the flow.
    bandstructure_type
        ``both``, ``uniform`` or ``line``.
    static_maker
        Makes the density.
    bs_maker
        Makes bands from it.

    Examples
    --------
    >>> from atomate2_vogen.engines import GpawBandStructureMaker
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> [job.name for job in GpawBandStructureMaker().make(crystal).jobs]
    ['GPAW static', 'GPAW non-scf uniform', 'GPAW non-scf line']
    """

    name: str = "GPAW band structure"
    bandstructure_type: str = "both"
    static_maker: GpawStaticMaker = field(default_factory=GpawStaticMaker)
    bs_maker: GpawNonSCFMaker = field(default_factory=GpawNonSCFMaker)

    def make(self, structure: Structure, prev_dir: str | Path | None = None) -> Flow:
        """Flow whose output has atomate2's keys, and two more.

        ``uniform``, ``uniform_bs``, ``line`` and ``line_bs`` as of atomate2's
        `BandStructureMaker`; ``static`` and ``uniform_dos`` besides.

        Parameters
        ----------
        structure
            Crystal of the oxide system.
        prev_dir
            Handed to the static calculation.

        Raises
        ------
        InputError
            If the type is unknown, or the static calculation leaves no density.
        """
        if self.bandstructure_type not in BAND_STRUCTURE_TYPES:
            raise InputError(
                f"bandstructure_type {self.bandstructure_type!r} is none of "
                f"{', '.join(BAND_STRUCTURE_TYPES)}"
            )
        if not getattr(self.static_maker, "keep_density", True):
            raise InputError("the static Maker of a band structure must keep its density")
        static = self.static_maker.make(structure, prev_dir=prev_dir)
        jobs: list[Flow | Job] = [static]
        outputs: dict[str, Any] = {"static": static.output}
        for mode in ("uniform", "line"):
            if self.bandstructure_type not in ("both", mode):
                continue
            bands = self.bs_maker.make(
                static.output.structure, prev_dir=static.output.dir_name, mode=mode
            )
            bands.name += f" {mode}"
            jobs.append(bands)
            outputs[mode] = bands.output
            outputs[f"{mode}_bs"] = bands.output.gpaw_objects[GpawObject.BANDSTRUCTURE]
            if mode == "uniform":
                outputs["uniform_dos"] = bands.output.gpaw_objects[GpawObject.DOS]
        return Flow(jobs, output=outputs, name=self.name)


def _density(prev_dir: str | Path | None, parameters: dict[str, Any]) -> Path:
    """File with the density of a static calculation that had the same parameters."""
    if prev_dir is None:
        raise InputError("bands need the folder of a static calculation: give prev_dir")
    folder = Path(prev_dir).absolute()
    density = folder / DENSITY
    if not density.is_file():
        raise EngineOutputError(
            f"{folder} holds no {DENSITY}: the static calculation kept none, or ran on a disk that "
            "is not seen here"
        )
    try:
        found = json.loads((folder / REQUEST).read_text(encoding="utf-8"))["parameters"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineOutputError(f"{REQUEST} in {folder} cannot be read: {error}") from error
    different = sorted(
        name for name in {*parameters, *found} if parameters.get(name) != found.get(name)
    )
    if different:
        raise InputError(
            f"the density in {folder} was made with other settings: {', '.join(different)}"
        )
    return density
