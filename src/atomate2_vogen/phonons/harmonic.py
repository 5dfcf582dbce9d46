"""Dynamic stability from harmonic phonons: lowest frequency, verdict, free energy.

Everything is taken from a `phonopy.Phonopy` with force constants, so that a calculation by
hand and one by a workflow are assessed by the same code. Imaginary frequencies are negative, as
phonopy writes them.

Force constants of finite displacements break the acoustic sum rule, those of a force field with
kinks in its energy so much (2 THz in rock-salt VO with CHGNet and displacements of 0.01 Å) that
rigid shifts alone would look like an instability. `impose_sum_rules` measures the error, then
takes it out as phonopy's FC_SYMMETRY does. A large error is a reason for larger displacements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.constants import Avogadro, elementary_charge

from atomate2_vogen.errors import BandDataError
from atomate2_vogen.schemas import FreeEnergy, PhononSummary, PhononVerdict

if TYPE_CHECKING:
    from phonopy import Phonopy
    from pymatgen.phonon.bandstructure import PhononBandStructureSymmLine
    from pymatgen.phonon.dos import PhononDos

NOISE = 0.1
"""THz: an imaginary frequency up to this is noise of the acoustic branches.

Forces by finite displacements break the acoustic sum rule by a few hundredths of a THz, more
with force fields in single precision. Our choice; 0.1 THz is 3 cm⁻¹."""

SOFT_FREQUENCY = 1.0
"""THz: the largest imaginary frequency of a crystal that is soft and not unstable.

The paper (section 3.5) calls imaginary modes minor that a larger supercell or a finite
temperature may remove, without a number. This number is ours."""

SOFT_FRACTION = 0.05
"""Largest imaginary share of the modes of a soft crystal. Ours, as `SOFT_FREQUENCY`."""

MESH_LENGTH = 60.0
"""Å: the q mesh is as dense as that of a supercell of this size, as phonopy counts it."""

TEMPERATURES = tuple(float(t) for t in range(0, 1001, 50))
"""K, of the free energy."""

FREE_ENERGY_CUTOFF = 0.01
"""THz: modes below have no free energy; above Γ these are the three rigid shifts alone."""

POINTS_PER_BRANCH = 51

_EV = Avogadro * elementary_charge / 1000
"""kJ/mol of one eV."""


def verdict(lowest_frequency: float, imaginary_fraction: float) -> PhononVerdict:
    """Stable, soft or unstable.

    Parameters
    ----------
    lowest_frequency
        THz, negative where imaginary.
    imaginary_fraction
        Share of the modes below minus `NOISE`.
    """
    if lowest_frequency >= -NOISE:
        return PhononVerdict.STABLE
    if lowest_frequency >= -SOFT_FREQUENCY and imaginary_fraction <= SOFT_FRACTION:
        return PhononVerdict.SOFT
    return PhononVerdict.UNSTABLE


@dataclass(frozen=True)
class SumRuleErrors:
    """Deviation of force constants from the acoustic sum rule before it was imposed.

    Parameters
    ----------
    frequency
        THz, see `acoustic_sum_rule_error`.
    drift
        eV/Å², see `force_constant_drift`.
    """

    frequency: float
    drift: float


def impose_sum_rules(phonon: Phonopy) -> SumRuleErrors:
    """Make force constants sum to zero and symmetric, in place; return the errors before.

    Raises
    ------
    BandDataError
        If there are none, or some are not finite.
    """
    constants = _finite(phonon.force_constants)
    errors = SumRuleErrors(acoustic_sum_rule_error(phonon), force_constant_drift(constants))
    phonon.symmetrize_force_constants(show_drift=False)
    return errors


def _finite(constants: np.ndarray | None) -> np.ndarray:
    if constants is None or not np.isfinite(constants).all():
        raise BandDataError("the phonons have no force constants, or some that are not finite")
    return constants


def summarise_phonons(
    phonon: Phonopy,
    bands: PhononBandStructureSymmLine | None = None,
    mesh_length: float = MESH_LENGTH,
    imposed: SumRuleErrors | None = None,
) -> PhononSummary:
    """Judge a crystal by its phonons.

    Parameters
    ----------
    phonon
        With force constants, in eV/Å² and THz.
    bands
        Dispersion of the same phonons; calculated along seekpath's lines where there is none.
    mesh_length
        Å, see `MESH_LENGTH`.
    imposed
        Errors that `impose_sum_rules` took out; None where it was not called.

    Returns
    -------
    PhononSummary
        With a free energy unless the crystal is unstable.

    Raises
    ------
    BandDataError
        If there are no force constants, or they or a frequency are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from atomate2_vogen.phonons import summarise_phonons
    >>> from phonopy import Phonopy
    >>> from phonopy.structure.atoms import PhonopyAtoms
    >>> cell = PhonopyAtoms(symbols=["Ar"], cell=np.eye(3) * 4.0, scaled_positions=[[0, 0, 0]])
    >>> phonon = Phonopy(cell, np.eye(3, dtype=int) * 2, primitive_matrix="P")
    >>> n = len(phonon.supercell)
    >>> springs = n * np.eye(n) - np.ones((n, n))  # every atom is tied to every other one
    >>> phonon.force_constants = springs[..., None, None] * np.eye(3)  # eV/Å²
    >>> summary = summarise_phonons(phonon, mesh_length=20.0)
    >>> summary.verdict.value
    'stable'
    """
    constants = _finite(phonon.force_constants)
    bands = phonon_bands(phonon) if bands is None else bands
    phonon.run_mesh(mesh_length)
    mesh: Any = phonon.get_mesh_dict()
    frequencies, weights = mesh["frequencies"], mesh["weights"]
    on_path = np.asarray(bands.bands)
    for values in (frequencies, on_path):
        if not np.isfinite(values).all():
            raise BandDataError("a phonon frequency is not finite")
    shares = np.broadcast_to(weights[:, None], frequencies.shape) / (
        weights.sum() * frequencies.shape[1]
    )
    imaginary = float(shares[frequencies < -NOISE].sum())
    lowest, q_point, label = _lowest(bands, mesh["qpoints"], frequencies)
    stability = verdict(lowest, imaginary)
    errors = imposed or SumRuleErrors(
        acoustic_sum_rule_error(phonon), force_constant_drift(constants)
    )
    warnings = []
    if stability is not PhononVerdict.STABLE and errors.frequency > abs(lowest) / 2:
        warnings.append(
            f"rigid shifts have {errors.frequency:.2f} THz instead of 0 by these forces, the lowest frequency is "
            f"{lowest:.2f} THz: the forces are too inaccurate for this verdict"
        )
    return PhononSummary(
        verdict=stability,
        lowest_frequency=lowest,
        lowest_q_point=[float(x) for x in q_point],
        lowest_label=label,
        highest_frequency=float(max(on_path.max(), frequencies.max())),
        imaginary_fraction=imaginary,
        acoustic_sum_rule_error=errors.frequency,
        force_constant_drift=errors.drift,
        sum_rule_imposed=imposed is not None,
        supercell_matrix=np.rint(phonon.supercell_matrix).astype(int).tolist(),
        n_atoms_supercell=len(phonon.supercell),
        n_atoms_primitive=len(phonon.primitive),
        mesh=[int(n) for n in np.asarray(phonon.mesh_numbers)],
        free_energy=None
        if stability is PhononVerdict.UNSTABLE
        else _free_energy(phonon, float(shares[frequencies < FREE_ENERGY_CUTOFF].sum())),
        tolerances={
            "noise_THz": NOISE,
            "soft_THz": SOFT_FREQUENCY,
            "soft_fraction": SOFT_FRACTION,
        },
        warnings=warnings,
    )


def phonopy_from_document(document: Any, symprec: float = 1e-4) -> Phonopy:
    """The `Phonopy` behind atomate2's `PhononBSDOSDoc`.

    Parameters
    ----------
    document
        With structure, supercell and primitive matrix and force constants (loaded from the
        ``data`` store).
    symprec
        Å, for the symmetry of the q mesh; atomate2's default.

    Raises
    ------
    BandDataError
        If one of these is missing.
    """
    from phonopy import Phonopy
    from pymatgen.io.phonopy import get_phonopy_structure

    needed = ("structure", "supercell_matrix", "primitive_matrix", "force_constants")
    if missing := [name for name in needed if getattr(document, name, None) is None]:
        raise BandDataError(f"the phonon document lacks {', '.join(missing)}")
    structure = document.structure.copy()
    if "magmom" in structure.site_properties:
        # phonopy would take them for part of the symmetry; the displacements were made without
        structure.remove_site_property("magmom")
    phonon = Phonopy(
        get_phonopy_structure(structure),
        supercell_matrix=np.rint(document.supercell_matrix).astype(int),
        primitive_matrix=np.array(document.primitive_matrix, float),
        symprec=symprec,
    )
    constants = getattr(document.force_constants, "force_constants", document.force_constants)
    if isinstance(constants, dict):
        constants = constants["force_constants"]
    phonon.force_constants = np.array(constants, float)
    if document.born is not None and document.epsilon_static is not None:
        phonon.nac_params = {
            "born": np.array(document.born),
            "dielectric": np.array(document.epsilon_static),
            "factor": 14.399652,
        }
    return phonon


def phonon_bands(
    phonon: Phonopy, points: int = POINTS_PER_BRANCH, symprec: float = 1e-4
) -> PhononBandStructureSymmLine:
    """Dispersion along lines of high symmetry, THz.

    The lines are seekpath's (Hinuma et al. 2017, DOI 10.1016/j.commatsci.2016.10.015), carried
    over to the primitive cell of `phonon`, which need not be the standard one.

    Parameters
    ----------
    phonon
        With force constants.
    points
        q points per branch.
    symprec
        Å, of the symmetry that the path is chosen by.

    Examples
    --------
    >>> import numpy as np
    >>> from atomate2_vogen.phonons import phonon_bands
    >>> from phonopy import Phonopy
    >>> from phonopy.structure.atoms import PhonopyAtoms
    >>> cell = PhonopyAtoms(symbols=["Ar"], cell=np.eye(3) * 4.0, scaled_positions=[[0, 0, 0]])
    >>> phonon = Phonopy(cell, np.eye(3, dtype=int) * 2, primitive_matrix="P")
    >>> n = len(phonon.supercell)
    >>> springs = n * np.eye(n) - np.ones((n, n))  # every atom is tied to every other one
    >>> phonon.force_constants = springs[..., None, None] * np.eye(3)  # eV/Å²
    >>> bands = phonon_bands(phonon, points=5)
    >>> bands.nb_bands, bands.has_imaginary_freq()
    (3, False)
    """
    import seekpath
    from pymatgen.io.phonopy import get_pmg_structure
    from pymatgen.phonon.bandstructure import PhononBandStructureSymmLine

    cell = phonon.primitive
    path = seekpath.get_path_orig_cell(
        (cell.cell, cell.scaled_positions, cell.numbers), symprec=symprec
    )
    corners = {label: np.array(q, float) for label, q in path["point_coords"].items()}
    legs = [np.linspace(corners[first], corners[last], points) for first, last in path["path"]]
    phonon.run_band_structure(legs)
    found: Any = phonon.get_band_structure_dict()
    primitive = get_pmg_structure(cell)
    return PhononBandStructureSymmLine(
        np.concatenate(found["qpoints"]),
        np.concatenate(found["frequencies"]).T,
        primitive.lattice.reciprocal_lattice,
        labels_dict=corners,
        structure=primitive,
    )


def phonon_dos(phonon: Phonopy, mesh_length: float = MESH_LENGTH) -> PhononDos:
    """Density of states by the tetrahedron method, 1/THz per primitive cell.

    Examples
    --------
    >>> import numpy as np
    >>> from atomate2_vogen.phonons import phonon_dos
    >>> from phonopy import Phonopy
    >>> from phonopy.structure.atoms import PhonopyAtoms
    >>> cell = PhonopyAtoms(symbols=["Ar"], cell=np.eye(3) * 4.0, scaled_positions=[[0, 0, 0]])
    >>> phonon = Phonopy(cell, np.eye(3, dtype=int) * 2, primitive_matrix="P")
    >>> n = len(phonon.supercell)
    >>> springs = n * np.eye(n) - np.ones((n, n))  # every atom is tied to every other one
    >>> phonon.force_constants = springs[..., None, None] * np.eye(3)  # eV/Å²
    >>> dos = phonon_dos(phonon, mesh_length=20.0)
    >>> round(float(np.trapezoid(dos.densities, dos.frequencies)))  # three modes of one atom
    3
    """
    from pymatgen.phonon.dos import PhononDos

    phonon.run_mesh(mesh_length)
    phonon.run_total_dos()
    found = phonon.get_total_dos_dict()
    return PhononDos(found["frequency_points"], found["total_dos"])


def acoustic_sum_rule_error(phonon: Phonopy) -> float:
    """Largest |frequency| at Γ of the three modes nearest to rigid shifts, THz."""
    phonon.run_qpoints([[0.0, 0.0, 0.0]], with_eigenvectors=True)
    found: Any = phonon.get_qpoints_dict()
    vectors = found["eigenvectors"][0]
    masses = np.asarray(phonon.primitive.masses, float)
    shifts = np.kron(np.sqrt(masses / masses.sum())[:, None], np.eye(3))
    overlap = (np.abs(shifts.T @ vectors) ** 2).sum(axis=0)
    rigid = np.argsort(overlap)[-3:]
    return float(np.abs(found["frequencies"][0][rigid]).max())


def force_constant_drift(constants: np.ndarray) -> float:
    """Largest sum of force constants over the atoms that act on one, eV/Å².

    Parameters
    ----------
    constants
        Shape (n, N, 3, 3): n = N atoms of the supercell, or those of one primitive cell.

    Examples
    --------
    >>> import numpy as np
    >>> from atomate2_vogen.phonons import force_constant_drift
    >>> spring = np.array([[1.0, -1.0], [-1.0, 1.0]])[..., None, None] * np.eye(3)  # eV/Å²
    >>> force_constant_drift(spring)
    0.0
    """
    largest = float(np.abs(constants.sum(axis=1)).max())
    if constants.shape[0] == constants.shape[1]:
        largest = max(largest, float(np.abs(constants.sum(axis=0)).max()))
    return largest


def _lowest(
    bands: PhononBandStructureSymmLine, q_points: np.ndarray, frequencies: np.ndarray
) -> tuple[float, np.ndarray, str]:
    """Lowest frequency, its q point and the name of that; the path goes first."""
    on_path = np.asarray(bands.bands).min(axis=0)
    on_mesh = frequencies.min(axis=1)
    index = int(on_path.argmin())
    path_lowest, mesh_lowest = float(on_path[index]), float(on_mesh.min())
    if mesh_lowest < path_lowest - 1e-3:
        return mesh_lowest, q_points[int(on_mesh.argmin())], "mesh"
    q_point = bands.qpoints[index]
    name = q_point.label or next(
        (
            str(branch["name"])
            for branch in bands.branches
            if branch["start_index"] <= index <= branch["end_index"]
        ),
        "path",
    )
    return path_lowest, np.asarray(q_point.frac_coords), name


def _free_energy(phonon: Phonopy, left_out: float) -> FreeEnergy:
    phonon.run_thermal_properties(
        temperatures=np.array(TEMPERATURES), cutoff_frequency=FREE_ENERGY_CUTOFF
    )
    found = phonon.get_thermal_properties_dict()
    values = np.asarray(found["free_energy"]) / _EV / len(phonon.primitive)
    return FreeEnergy(
        temperatures=[float(t) for t in found["temperatures"]],
        values=[float(value) for value in values],
        zero_point=float(values[0]),
        left_out=left_out,
        cutoff=FREE_ENERGY_CUTOFF,
    )
