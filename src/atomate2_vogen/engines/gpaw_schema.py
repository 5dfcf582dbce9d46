"""Task document of a GPAW calculation, and the parser of the driver's results."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from ase.units import GPa
from emmet.core.structure import StructureMetadata
from emmet.core.types.enums import TaskState, ValueEnum
from pydantic import BaseModel, Field
from pymatgen.core import Lattice, Structure
from pymatgen.electronic_structure.bandstructure import BandStructure, BandStructureSymmLine
from pymatgen.electronic_structure.core import Orbital, Spin
from pymatgen.electronic_structure.dos import CompleteDos, Dos

from atomate2_vogen.errors import EngineOutputError

SPINS = (Spin.up, Spin.down)

MAX_L = 3
"""Orbitals beyond f have no name in pymatgen."""


class GpawObject(ValueEnum):
    """Large objects, kept in the ``data`` store."""

    BANDSTRUCTURE = "bandstructure"
    DOS = "dos"


class GpawStep(BaseModel):
    """One ionic step."""

    energy: float = Field(description="eV, extrapolated to no smearing")
    max_force: float = Field(description="eV/Å")


class GpawInput(BaseModel):
    """Input of a GPAW calculation."""

    scheme: str = Field(description="energy scale")
    task: str = Field(description="static, relax, uniform or line")
    settings: dict[str, Any] = Field(description="of `GpawSettings`")
    parameters: dict[str, Any] = Field(description="as they reached GPAW")
    mesh: list[int] = Field(description="Gamma-centred mesh of the density")
    initial_moments: list[float] = Field(description="μB, by site; of bands those of the density")
    relax: dict[str, Any] | None = Field(None, description="criterion, steps and cell")


class GpawOutput(BaseModel):
    """Results of a calculation; of a band structure only the Fermi level."""

    energy: float | None = Field(None, description="eV, extrapolated to no smearing")
    energy_per_atom: float | None = Field(None, description="the same in eV/atom")
    free_energy: float | None = Field(None, description="eV, with the entropy of the smearing")
    forces: list[list[float]] | None = Field(None, description="eV/Å")
    stress: list[list[float]] | None = Field(
        None, description="kbar, with VASP's sign, at constant cutoff (Pulay stress corrected)"
    )
    efermi: float = Field(description="eV, of the self-consistent density")
    efermi_mesh: float | None = Field(
        None, description="eV, from the occupations on the mesh of a uniform calculation"
    )
    total_moment: float | None = Field(None, description="μB of the cell")
    site_moments: list[float] | None = Field(None, description="μB within the PAW spheres")
    n_electrons: float | None = Field(None, description="valence electrons of the cell")
    n_steps: int | None = Field(None, description="ionic steps, the start included")
    ionic_steps: list[GpawStep] | None = None
    kpoint_weights: list[float] | None = Field(
        None, description="of the points of a uniform band structure; they add up to 1"
    )


class GpawTaskDoc(StructureMetadata):
    """A GPAW calculation: like atomate2's task documents of other codes."""

    schema_version: int = 1
    calc_type: str = Field(description="e.g. GPAW static")
    structure: Structure = Field(description="final, with moments as site property ``magmom``")
    input: GpawInput
    output: GpawOutput
    state: TaskState
    is_force_converged: bool | None = Field(None, description="of a relaxation")
    gpaw_objects: dict[GpawObject, Any] = Field(
        default_factory=dict,
        description="band structure and density of states, pymatgen objects in the data store",
    )
    dir_name: str | None = Field(None, description="folder of the calculation")
    elapsed_time: float | None = Field(None, description="seconds")
    cpu_time: float | None = Field(None, description="CPU seconds of all ranks")
    n_ranks: int | None = None
    engine_versions: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def from_result(
        cls,
        result: dict[str, Any],
        *,
        request: GpawInput,
        structure: Structure,
        labels: dict[str, tuple[float, float, float]] | None = None,
        dir_name: str | None = None,
        elapsed_time: float | None = None,
    ) -> Self:
        """Parse a result of the driver.

        Parameters
        ----------
        result
            As the driver wrote it.
        request
            What was asked.
        structure
            Structure that was sent.
        labels
            Fractional coordinates of labelled points, for task ``line``.
        dir_name
            Folder of the calculation.
        elapsed_time
            Seconds that it took, start of the program included.

        Raises
        ------
        EngineOutputError
            If something is missing, has a wrong shape, or is of another crystal or task.
        """
        try:
            if result["task"] != request.task:
                raise EngineOutputError(
                    f"GPAW was asked for task {request.task} and answered {result['task']}"
                )
            final = _structure(result, structure)
            objects: dict[GpawObject, Any] = {}
            if request.task in {"uniform", "line"}:
                objects[GpawObject.BANDSTRUCTURE] = parse_bands(result, final, labels)
            if request.task == "uniform":
                objects[GpawObject.DOS] = parse_dos(result, final)
            output = _output(result, len(final))
            converged = bool(result.get("converged", True))
            return cls.from_structure(
                meta_structure=final,
                structure=final,
                calc_type=f"GPAW {request.task}",
                input=request,
                output=output,
                state=TaskState.SUCCESS if converged else TaskState.FAILED,
                is_force_converged=converged if request.task == "relax" else None,
                gpaw_objects=objects,
                dir_name=dir_name,
                elapsed_time=elapsed_time,
                cpu_time=result.get("cpu_time"),
                n_ranks=result.get("n_ranks"),
                engine_versions=dict(result.get("versions", {})),
            )
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise EngineOutputError(
                f"the result of GPAW ({request.task}) cannot be read: "
                f"{type(error).__name__}: {error}"
            ) from error


def parse_bands(
    result: dict[str, Any],
    structure: Structure,
    labels: dict[str, tuple[float, float, float]] | None = None,
) -> BandStructure:
    """Band structure of a result: along lines if there are labels, else of a mesh.

    Raises
    ------
    EngineOutputError
        If the arrays do not fit each other.
    """
    kpoints = np.array(result["kpoints"], dtype=float)
    energies = np.array(result["eigenvalues"], dtype=float)
    if energies.ndim != 3 or len(energies) > len(SPINS) or kpoints.shape != (energies.shape[1], 3):
        raise EngineOutputError(
            f"bands of shape {energies.shape} do not fit k-points of shape {kpoints.shape}"
        )
    if not np.isfinite(energies).all():
        raise EngineOutputError("the bands hold NaN or infinity")
    bands = {spin: values.T for spin, values in zip(SPINS, energies, strict=False)}
    reciprocal, efermi = structure.lattice.reciprocal_lattice, float(result["efermi"])
    if labels is None:
        return BandStructure(kpoints, bands, reciprocal, efermi, structure=structure)
    points: Any = {label: np.array(point) for label, point in labels.items()}
    return BandStructureSymmLine(kpoints, bands, reciprocal, efermi, points, structure=structure)


def parse_dos(result: dict[str, Any], structure: Structure) -> CompleteDos:
    """Total and projected density of states in states/eV per cell.

    Projections are the weights of bound partial waves (l up to f), so that they do not add up
    to the total; those of one l and m on one atom (semicore and valence) are added.

    Raises
    ------
    EngineOutputError
        If the arrays do not fit each other.
    """
    dos, efermi = result["dos"], float(result["efermi"])
    energies = np.array(dos["energies"], dtype=float)
    total = _densities(dos["total"], energies)
    projected: dict[Any, dict[Orbital, dict[Spin, Any]]] = {site: {} for site in structure}
    for channel in dos["projected"]:
        ell, m = int(channel["l"]), int(channel["m"])
        if ell > MAX_L:
            continue
        # GPAW orders real harmonics as VASP and pymatgen do: y z x; xy yz z² xz x²-y²
        orbital = Orbital(ell * ell + m)
        site = structure[int(channel["atom"])]
        projected[site][orbital] = _densities(channel["densities"], energies)
    return CompleteDos(structure, Dos(efermi, energies, total), projected)


def _densities(values: Any, energies: np.ndarray) -> dict[Spin, np.ndarray]:
    array = np.array(values, dtype=float)
    if array.ndim != 2 or len(array) > len(SPINS) or array.shape[1] != len(energies):
        raise EngineOutputError(
            f"a density of states of shape {array.shape} does not fit {len(energies)} energies"
        )
    if not np.isfinite(array).all():
        raise EngineOutputError("the density of states holds NaN or infinity")
    return dict(zip(SPINS, array, strict=False))


def _structure(result: dict[str, Any], sent: Structure) -> Structure:
    """Final structure, its sites in the order in which they were sent."""
    found = result["structure"]
    symbols = [site.specie.symbol for site in sent]
    if list(found["symbols"]) != symbols:
        raise EngineOutputError("the result is that of a crystal with other atoms")
    coordinates = np.array(found["scaled_positions"], dtype=float)
    structure = Structure(Lattice(np.array(found["cell"], dtype=float)), symbols, coordinates)
    if result["task"] != "relax":
        same = np.allclose(structure.lattice.matrix, sent.lattice.matrix, atol=1e-5) and (
            np.allclose(structure.frac_coords, sent.frac_coords, atol=1e-5)
        )
        if not same:
            raise EngineOutputError("the result is that of another crystal")
    moments = result.get("site_moments") or sent.site_properties.get("magmom")
    if moments is not None:
        structure.add_site_property("magmom", [float(moment) for moment in moments])
    return structure


def _output(result: dict[str, Any], n_atoms: int) -> GpawOutput:
    if result["task"] in {"uniform", "line"}:
        return GpawOutput(
            efermi=result["efermi"],
            efermi_mesh=result.get("efermi_mesh"),
            kpoint_weights=result.get("weights"),
        )
    forces = np.array(result["forces"], dtype=float)
    stress = np.array(result["stress"], dtype=float)
    if forces.shape != (n_atoms, 3) or stress.shape != (3, 3):
        raise EngineOutputError(f"forces have shape {forces.shape}, stress {stress.shape}")
    steps = result.get("steps")
    return GpawOutput(
        energy=result["energy"],
        energy_per_atom=result["energy"] / n_atoms,
        free_energy=result["free_energy"],
        forces=forces.tolist(),
        stress=(stress * -10 / GPa).tolist(),
        efermi=result["efermi"],
        total_moment=result["total_moment"],
        site_moments=result["site_moments"],
        n_electrons=result["n_electrons"],
        n_steps=None if steps is None else len(steps),
        ionic_steps=steps,
    )
