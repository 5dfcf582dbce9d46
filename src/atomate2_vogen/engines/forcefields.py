"""atomate2's force-field Makers with one quiet calculator per process.

jobflow copies a Maker into every job, and atomate2 keeps the calculator on the Maker: each job
would load the weights anew (about a second), and CHGNet prints a greeting each time.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from atomate2.forcefields.jobs import (
    ForceFieldRelaxMaker,
    ForceFieldStaticMaker,
    forcefield_job,
)
from atomate2.forcefields.schemas import ForceFieldTaskDocument
from atomate2.forcefields.utils import MLFF, ase_calculator
from monty.json import jsanitize
from pydantic import Field
from pymatgen.core.trajectory import Trajectory

from atomate2_vogen.engines.cell_filter import CachedCellFilter
from atomate2_vogen.engines.methods import calculator_name, energy_arguments
from atomate2_vogen.errors import InputError

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator
    from atomate2.ase.schemas import AseResult

PHONON_FORCE_TOLERANCE = 0.01
"""Largest force in eV/Å before displacements are made."""

_calculators: dict[str, Calculator] = {}


def shared_calculator(meta: Any, kwargs: dict[str, Any]) -> Calculator:
    """The calculator of these arguments, loaded on the first call in a process.

    Torch is then held to one thread, unless ``OMP_NUM_THREADS`` says otherwise: for cells of
    this size two threads were six times slower than one on a busy machine of two cores.
    """
    key = json.dumps([str(meta), jsanitize(kwargs)], sort_keys=True)
    if key not in _calculators:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            calculator = ase_calculator(meta, **_with_weights(meta, kwargs))
        if "OMP_NUM_THREADS" not in os.environ and (torch := sys.modules.get("torch")):
            torch.set_num_threads(1)
        if calculator is None:
            raise InputError(f"no calculator can be made from {meta}")
        if "chgnet" in sys.modules:
            from atomate2_vogen.engines.chgnet_inference import for_inference

            for_inference(calculator)
        _calculators[key] = calculator
    return _calculators[key]


def _with_weights(meta: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments with the weights that ``model_name`` of CHGNet chooses.

    Its calculator takes a model, not a name, and passes over a name in silence.
    """
    if calculator_name(meta) != MLFF.CHGNet.name or "model_name" not in kwargs:
        return kwargs
    from chgnet.model import CHGNet

    rest = {key: value for key, value in kwargs.items() if key != "model_name"}
    return {**rest, "model": CHGNet.load(model_name=kwargs["model_name"], verbose=False)}


class TimedTaskDocument(ForceFieldTaskDocument):
    """atomate2's document with the calculator at work and its CPU time.

    The name of a force field does not identify its weights, and elapsed time depends on the load
    of the machine.
    """

    calculator: str | None = Field(
        None, description="name that atomate2 has for the force field, or import path"
    )
    calculator_arguments: dict[str, Any] = Field(
        default_factory=dict, description="arguments of the calculator that move energies"
    )
    model_version: str | None = Field(None, description="version of the weights, where known")

    cpu_time: float | None = Field(
        None, description="CPU seconds of the process, the loading of the calculator left out"
    )


class _SharedCalculator:
    """Mixin: take the calculator from the process, not from the Maker."""

    calculator_meta: Any
    calculator_kwargs: dict[str, Any]
    _cpu_time: float | None = None

    @forcefield_job
    def make(self, structure: Any, prev_dir: Any = None) -> Any:
        """Job as atomate2's; the document of one structure has the CPU time too."""
        document = super().make.original(self, structure, prev_dir)  # type: ignore[misc]
        if type(document) is not ForceFieldTaskDocument:
            return document
        model_version = getattr(self._get_calculator(), "version", None)
        return TimedTaskDocument.model_construct(
            **dict(document),
            calculator=calculator_name(self.calculator_meta),
            calculator_arguments=energy_arguments(self.calculator_kwargs),
            model_version=model_version if isinstance(model_version, str) else None,
            cpu_time=self._cpu_time,
        )

    def _get_calculator(self) -> Calculator:
        return shared_calculator(self.calculator_meta, self.calculator_kwargs)

    def _run_ase_safe(self, *args: Any, **kwargs: Any) -> Any:
        self.calculator  # type: ignore[attr-defined]  # noqa: B018 - loaded before the clock starts
        begin = time.process_time()
        with warnings.catch_warnings():
            # scipy on the matrix logarithm of a nearly unstrained cell, once per ionic step
            warnings.filterwarnings("ignore", "logm result may be inaccurate", RuntimeWarning)
            warnings.filterwarnings("ignore", category=UserWarning, module=r"(chgnet|torch|ase)\.")
            result = super()._run_ase_safe(*args, **kwargs)  # type: ignore[misc]
        self._cpu_time = time.process_time() - begin
        return result


@dataclass
class SharedRelaxMaker(_SharedCalculator, ForceFieldRelaxMaker):
    """`ForceFieldRelaxMaker` that loads its calculator once and meets its force criterion.

    ASE's cell filters test the forces in the frame of the starting cell: of a cell that shrank
    by a tenth they call converged what is a tenth above the criterion. While the true forces
    are, and steps are left, the relaxation goes on from a fresh frame.

    Examples
    --------
    >>> from atomate2_vogen.engines import SharedRelaxMaker
    >>> maker = SharedRelaxMaker(force_field_name="CHGNet", steps=10)
    >>> maker.name
    'Force field relax'
    """

    def run_ase(self, mol_or_struct: Any, prev_dir: Any = None) -> AseResult:
        """Relax, not as a job."""
        result = super().run_ase(mol_or_struct, prev_dir=prev_dir)
        done, structure = result.trajectory, result.final_mol_or_struct
        if not isinstance(done, Trajectory) or structure is None:
            return result
        left = self.steps - len(done) + 1
        if not result.converged or result.is_force_converged or left <= 1:
            return result
        rest = replace(self, steps=left).run_ase(structure)
        more = cast("Trajectory", rest.trajectory)
        # the first frame of the rest is the last of what was done
        done.extend(cast("Trajectory", more[1:]))
        energies = [frame["energy"] for frame in done.frame_properties or ()]
        rest.trajectory = done
        rest.elapsed_time = (rest.elapsed_time or 0) + (result.elapsed_time or 0)
        rest.energy_downhill = energies[-1] < energies[0]
        return rest


@dataclass
class SharedStaticMaker(_SharedCalculator, ForceFieldStaticMaker):
    """`ForceFieldStaticMaker` whose calculator is loaded once per process.

    Examples
    --------
    >>> from atomate2_vogen.engines import SharedStaticMaker
    >>> SharedStaticMaker(force_field_name="CHGNet").name
    'Force field static'
    """


def force_field_makers(
    force_field: str | dict[str, str],
    calculator_kwargs: dict[str, Any],
    *,
    label: str = "",
    fmax: float,
    steps: int,
    phonon_min_length: float,
    phonon_displacement: float = 0.01,
    keeps_mirrors: bool = True,
) -> dict[str, Any]:
    """Relax, static and phonon Maker of a force field, as arguments of an `Engine`.

    Parameters
    ----------
    force_field
        Name by which atomate2 knows it, e.g. ``CHGNet``; or module and callable of an ASE
        calculator, e.g. ``{"@module": "my_module", "@callable": "my_calculator"}``.
    calculator_kwargs
        Arguments of its calculator.
    label
        First word of the names of the jobs; by default the name of the force field.
    fmax
        Force criterion in eV/Å, on atoms and on the cell (ASE's Fréchet cell filter).
    steps
        Most ionic steps of a relaxation.
    phonon_min_length
        Shortest edge of the phonon supercell in Å.
    phonon_displacement
        By which an atom is moved for the force constants, in Å; the default is phonopy's.
    keeps_mirrors
        Whether a crystal and its mirror image have the same energy. If not, symmetry saves no
        displacements: phonopy would use mirrors and inversions that the forces do not have.

    Examples
    --------
    >>> from atomate2_vogen.engines import force_field_makers
    >>> makers = force_field_makers("CHGNet", {}, fmax=0.05, steps=500, phonon_min_length=9.0)
    >>> sorted(makers)
    ['phonon_maker', 'relax_maker', 'static_maker']
    """
    from atomate2.forcefields.flows.phonons import PhononMaker

    label = label or str(force_field)
    quiet = {"final_atoms_object_file": None, "use_emmet_models": False}

    def relax(name: str, fmax: float) -> SharedRelaxMaker:
        return SharedRelaxMaker(
            name=name,
            force_field_name=force_field,
            steps=steps,
            relax_kwargs={"fmax": fmax, "cell_filter": CachedCellFilter, **quiet},
            # on ten substituted cells 26 s of CPU against 60 s with FIRE; minima within 12 meV/atom
            optimizer_kwargs={"optimizer": "BFGS"},
            calculator_kwargs=dict(calculator_kwargs),
            ionic_step_data=("energy",),
        )

    def static(name: str) -> SharedStaticMaker:
        return SharedStaticMaker(
            name=name,
            force_field_name=force_field,
            relax_kwargs=dict(quiet),
            calculator_kwargs=dict(calculator_kwargs),
            ionic_step_data=("energy",),
        )

    return {
        "relax_maker": relax(f"{label} relax", fmax),
        "static_maker": static(f"{label} static"),
        "phonon_maker": PhononMaker(
            name=f"{label} phonon",
            min_length=phonon_min_length,
            displacement=phonon_displacement,
            # else every atom is displaced in every direction, to both sides
            sym_reduce=keeps_mirrors,
            bulk_relax_maker=relax(f"{label} tight relax", PHONON_FORCE_TOLERANCE),
            static_energy_maker=static(f"{label} static"),
            phonon_displacement_maker=static(f"{label} displacement"),
            born_maker=None,
            # THz; the default of 1e-5 takes the noise of the acoustic branches for instability
            generate_frequencies_eigenvectors_kwargs={"tol_imaginary_modes": 0.05},
        ),
    }
