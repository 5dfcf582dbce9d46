"""VASP with the Materials Project's PBE settings, for placing crystals on its hull.

Here the hull is one of PBE+U: the Materials Project applies U to oxides and not to elements, and
MP2020 corrects for the mixture (Wang et al. 2021, DOI 10.1038/s41598-021-94550-5). Relaxation,
energy, phonons and bands are thus all of one level of theory, and `Engine.energy_corrections`
brings the energies onto the scale of the hull.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines.base import CATEGORY, DFT, Engine
from atomate2_vogen.engines.known_models import PBE_U
from atomate2_vogen.engines.vasp_engine import (
    check_k_path,
    hubbard_label,
    input_versions,
    phonon_flow,
    run_kwargs,
    scheme_suffix,
)
from atomate2_vogen.engines.vasp_setup import check_setup


def vasp_mp(
    system: OxideSystem = VANADIUM,
    *,
    k_path: str = "hinuma",
    phonon_min_length: float = 9.0,
    vasp_cmd: str | None = None,
    check: bool = True,
) -> Engine:
    """Relaxation and energies by the Materials Project's settings, with MP2020 corrections.

    Parameters
    ----------
    system
        Oxide system. Its Hubbard U must be the Materials Project's; initial moments and POTCARs
        are the Materials Project's for any system.
    k_path, phonon_min_length, vasp_cmd, check
        As of `vasp`.

    Returns
    -------
    Engine
        Scheme e.g. ``VASP-MP2020-PBE+U(V=3.25)-V_pv``. References come from
        `references_from_entries` or from `ReferencesFlowMaker`.

    Raises
    ------
    EngineSetupError
        If `check` is set and VASP or its POTCARs are not found.
    SchemeMismatchError
        If the system has another U than MP2020 is fitted for.
    InputError
        If the k-path is unknown.

    Examples
    --------
    >>> from atomate2_vogen.engines import vasp_mp
    >>> engine = vasp_mp(check=False)
    >>> engine.scheme
    'VASP-MP2020-PBE+U(V=3.25)-V_pv'
    """
    from atomate2.vasp.flows.core import BandStructureMaker
    from pymatgen.io.vasp.sets import MPRelaxSet

    from atomate2_vogen.engines import vasp_jobs as jobs
    from atomate2_vogen.engines.corrections import MP2020Corrections, require_mp_u
    from atomate2_vogen.engines.vasp_mp_sets import (
        MPDisplacementSet,
        mp_relax_set,
        mp_static_set,
    )
    from atomate2_vogen.engines.vasp_sets import PHONON_FORCE_TOLERANCE, PathNonSCFSetGenerator

    check_k_path(k_path)
    require_mp_u(system.hubbard_u, system.metal, system.anion)
    config = MPRelaxSet.CONFIG
    functional = config.get("POTCAR_FUNCTIONAL", "PBE")
    potcars = {element: config["POTCAR"].get(element, element) for element in system.elements}
    if check:
        check_setup(potcars.values(), functional, vasp_cmd)

    def maker(kind: type, name: str, inputs: Any, **options: Any) -> Any:
        return kind(
            name=name, input_set_generator=inputs, run_vasp_kwargs=run_kwargs(vasp_cmd), **options
        )

    relax = maker(
        jobs.CheckedRelaxMaker,
        "VASP-MP relax",
        mp_relax_set(),
        stop_children_kwargs={"handle_unsuccessful": False},
    )
    tight = maker(
        jobs.CheckedRelaxMaker,
        "VASP-MP tight relax",
        mp_relax_set({"EDIFF": 1e-6, "EDIFFG": -PHONON_FORCE_TOLERANCE}),
    )
    static = maker(jobs.CheckedStaticMaker, "VASP-MP static", mp_static_set())
    displacement = maker(
        jobs.DisplacementMaker,
        "VASP-MP displacement",
        MPDisplacementSet(
            force_gamma=True,
            inherit_incar=False,
            auto_ispin=True,
            user_incar_settings={"EDIFF": 1e-7, "ISMEAR": 0, "LCHARG": False},
        ),
    )
    bands = BandStructureMaker(
        name="VASP-MP band structure",
        static_maker=maker(
            jobs.CheckedStaticMaker, "VASP-MP static for bands", mp_static_set(), k_path=k_path
        ),
        bs_maker=maker(
            jobs.NonSCFMaker,
            "VASP-MP non-scf",
            PathNonSCFSetGenerator(
                config_dict=deepcopy(config),
                k_path=k_path,
                auto_ispin=False,
                auto_ismear=False,
                inherit_incar=False,
                # as in the static calculation that they start from
                user_incar_settings={"LREAL": False},
            ),
        ),
    )
    return Engine(
        name="vasp-mp",
        scheme=f"VASP-MP2020-PBE{hubbard_label(system.hubbard_u)}{scheme_suffix(potcars)}",
        relax_maker=relax,
        static_maker=static,
        phonon_maker=phonon_flow("VASP-MP phonon", phonon_min_length, tight, static, displacement),
        band_structure_maker=bands,
        engine_versions=input_versions(functional, potcars),
        energy_corrections=MP2020Corrections(),
        k_path=k_path,
        manager_config={CATEGORY: DFT},
        functional=PBE_U,
    )
