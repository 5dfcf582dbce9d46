"""The paper's VASP recipe (sections 3.1 and 3.6) as an engine.

Which energy goes on the hull: that of PBE, without U. The paper relaxes and compares formation
energies with PBE (section 3.1) and brings U in only for the electronic structure of the best
crystals (section 3.6). U acts in the oxides but not in the elements, so a hull with U needs
fitted corrections as well; that is what `vasp_mp` is for. Hence two schemes: `Engine.scheme`
is that of `relax_maker`, `static_maker` and `phonon_maker`; `Engine.band_structure_scheme` that
of the static calculation with U from which bands start, whose energy never reaches a hull.

Moments that a structure carries (site property ``magmom``) are those that a calculation starts
from; only the one with U takes their signs alone, with the magnitudes of the oxide system.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines.base import CATEGORY, DFT, Engine
from atomate2_vogen.engines.vasp_setup import check_setup
from atomate2_vogen.errors import InputError

if TYPE_CHECKING:
    from jobflow import Maker

ACOUSTIC_NOISE = 0.05
"""THz; atomate2's default of 1e-5 takes the noise of the acoustic branches for instability."""


def vasp(
    system: OxideSystem = VANADIUM,
    *,
    k_path: str = "hinuma",
    phonon_min_length: float = 9.0,
    vasp_cmd: str | None = None,
    check: bool = True,
) -> Engine:
    """The paper's recipe: PBE relaxation, energies and phonons; PBE+U bands.

    Parameters
    ----------
    system
        Oxide system: initial moments, Hubbard U, POTCARs.
    k_path
        Convention of the bands' path: ``hinuma``, as of phonons, ``latimer_munro`` (the paper's
        reference 47) or ``setyawan_curtarolo``.
    phonon_min_length
        Shortest edge of the phonon supercell in Å.
    vasp_cmd
        Command line of VASP, e.g. ``"srun vasp_std"``; atomate2's ``VASP_CMD`` by default.
    check
        Look for the command and the POTCARs at once. Switch it off where jobs are only sent
        off; each job looks again where it runs.

    Returns
    -------
    Engine
        Scheme e.g. ``VASP-PBE-V_pv``; bands e.g. in ``VASP-PBE+U(V=3.25)-V_pv``.

    Raises
    ------
    EngineSetupError
        If `check` is set and VASP or its POTCARs are not found.
    InputError
        If the k-path is unknown.

    Examples
    --------
    >>> from atomate2_vogen.engines import vasp
    >>> engine = vasp(check=False)
    >>> engine.scheme
    'VASP-PBE-V_pv'
    """
    from atomate2.vasp.flows.core import BandStructureMaker

    from atomate2_vogen.engines import vasp_sets as sets
    from atomate2_vogen.engines.vasp_jobs import (
        CheckedRelaxMaker,
        CheckedStaticMaker,
        DisplacementMaker,
        NonSCFMaker,
    )

    check_k_path(k_path)
    potcars = sets.paper_potcars(system)
    if check:
        check_setup(potcars.values(), sets.POTCAR_FUNCTIONAL, vasp_cmd)

    relax: Maker = CheckedRelaxMaker(
        name="VASP relax",
        input_set_generator=sets.PaperRelaxSetGenerator(system=system),
        run_vasp_kwargs=run_kwargs(vasp_cmd),
        stop_children_kwargs={"handle_unsuccessful": False},
    )
    tight = CheckedRelaxMaker(
        name="VASP tight relax",
        input_set_generator=sets.PaperRelaxSetGenerator(
            system=system, force_tolerance=sets.PHONON_FORCE_TOLERANCE, energy_tolerance=1e-6
        ),
        run_vasp_kwargs=run_kwargs(vasp_cmd),
    )
    static = CheckedStaticMaker(
        name="VASP static",
        input_set_generator=sets.PaperStaticSetGenerator(system=system),
        run_vasp_kwargs=run_kwargs(vasp_cmd),
    )
    displacement = DisplacementMaker(
        name="VASP displacement",
        input_set_generator=sets.PaperDisplacementSetGenerator(system=system),
        run_vasp_kwargs=run_kwargs(vasp_cmd),
    )
    bands = BandStructureMaker(
        name="VASP band structure",
        static_maker=CheckedStaticMaker(
            name="VASP static +U",
            input_set_generator=sets.PaperStaticSetGenerator(
                system=system, hubbard=True, fresh_moments=True
            ),
            run_vasp_kwargs=run_kwargs(vasp_cmd),
            k_path=k_path,
        ),
        bs_maker=NonSCFMaker(
            name="VASP non-scf +U",
            input_set_generator=sets.PaperNonSCFSetGenerator(
                system=system, hubbard=True, k_path=k_path
            ),
            run_vasp_kwargs=run_kwargs(vasp_cmd),
        ),
    )
    suffix = scheme_suffix(potcars)
    return Engine(
        name="vasp",
        scheme=f"VASP-PBE{suffix}",
        relax_maker=relax,
        static_maker=static,
        phonon_maker=phonon_flow("VASP phonon", phonon_min_length, tight, static, displacement),
        band_structure_maker=bands,
        engine_versions=input_versions(sets.POTCAR_FUNCTIONAL, potcars),
        band_structure_scheme=f"VASP-PBE{hubbard_label(system.hubbard_u)}{suffix}",
        k_path=k_path,
        manager_config={CATEGORY: DFT},
        functional="PBE",
    )


def phonon_flow(name: str, min_length: float, tight: Any, static: Any, displacement: Any) -> Maker:
    """atomate2's phonon flow without Born charges, for Makers of one recipe."""
    from atomate2.vasp.flows.phonons import PhononMaker

    maker: Maker = PhononMaker(
        name=name,
        min_length=min_length,
        bulk_relax_maker=tight,
        static_energy_maker=static,
        phonon_displacement_maker=displacement,
        born_maker=None,
        generate_frequencies_eigenvectors_kwargs={"tol_imaginary_modes": ACOUSTIC_NOISE},
    )
    return maker


def check_k_path(k_path: str) -> None:
    """Refuse an unknown convention.

    Raises
    ------
    InputError
        Naming those that there are.
    """
    from atomate2_vogen.electrons.kpath import K_PATHS

    if k_path not in K_PATHS:
        raise InputError(f"k-path {k_path!r} is unknown; there are {', '.join(K_PATHS)}")


def run_kwargs(vasp_cmd: str | None) -> dict[str, Any]:
    """Arguments of atomate2's ``run_vasp``; a fresh copy for each Maker."""
    from atomate2_vogen.engines.vasp_handlers import candidate_handlers

    arguments: dict[str, Any] = {"handlers": candidate_handlers()}
    if vasp_cmd:
        arguments["vasp_cmd"] = vasp_cmd
    return arguments


def hubbard_label(values: dict[str, float]) -> str:
    """The part of a scheme's name with the U values, e.g. ``+U(V=3.25)``; empty without U."""
    pairs = [f"{element}={value:g}" for element, value in sorted(values.items()) if value]
    return f"+U({','.join(pairs)})" if pairs else ""


def scheme_suffix(potcars: dict[str, str]) -> str:
    """The part of a scheme's name with the POTCARs other than an element's plain one."""
    return "".join(f"-{symbol}" for element, symbol in potcars.items() if symbol != element)


def input_versions(functional: str, potcars: dict[str, str]) -> dict[str, str]:
    """Versions of the packages and POTCARs that are known before VASP runs."""
    return {
        "atomate2": version("atomate2"),
        "pymatgen": version("pymatgen"),
        "custodian": version("custodian"),
        "POTCAR": f"{functional} {' '.join(potcars.values())}",
    }
