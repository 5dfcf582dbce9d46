"""Settings of an engine that follow from its relax Maker alone."""

from __future__ import annotations

from dataclasses import fields, replace
from importlib.metadata import version
from typing import Any

from jobflow import Maker

from atomate2_vogen.engines.known_models import require_package
from atomate2_vogen.engines.methods import Method, calculator_name, family, last_maker
from atomate2_vogen.errors import InputError

NO_STEPS = {"NSW": 0, "IBRION": -1}
"""INCAR tags that make a static calculation of a relaxation."""


def is_vasp(maker: Any) -> bool:
    """Whether a Maker is one of atomate2's for VASP."""
    return hasattr(last_maker(maker), "input_set_generator")


def static_maker_of(relax_maker: Any) -> Maker:
    """Static Maker of the same method as a relax Maker.

    Parameters
    ----------
    relax_maker
        One of atomate2's for ASE calculators and force fields, or for VASP, or a class derived
        from these; of several relaxations in a row the last one counts.

    Raises
    ------
    InputError
        If it is any other Maker, for which no static counterpart is known.
    """
    inner = last_maker(relax_maker)
    if is_vasp(inner):
        return _vasp_static(inner)
    if _is_ase(inner):
        # atomate2's static Makers are relax Makers with a single step, too
        return replace(
            inner,
            name=_static_name(inner),
            steps=1,
            relax_cell=False,
            relax_shape=False,
            fix_symmetry=False,
        )
    raise InputError(
        f"no static Maker follows from a {type(relax_maker).__name__}; give static_maker, of the "
        "same method"
    )


def versions_of(maker: Any) -> dict[str, str]:
    """Versions of what computes the energies of a Maker, as far as it is atomate2's.

    Raises
    ------
    MissingDependencyError
        If the package of its force field is not installed.
    """
    inner = last_maker(maker)
    if is_vasp(inner):
        return {package: version(package) for package in ("atomate2", "pymatgen", "custodian")}
    if not _is_ase(inner):
        return {}
    found = {"atomate2": version("atomate2")}
    if hasattr(inner, "calculator_meta"):
        code = calculator_name(inner.calculator_meta)
        if (package_version := require_package(code)) is not None:
            found[family(code)] = package_version
    return found


def stated_methods(**makers: Any) -> dict[str, Method]:
    """Methods of stages whose Maker has a calculator only after that is made.

    Parameters
    ----------
    makers
        Makers by stage.
    """
    found = {}
    for stage, maker in makers.items():
        if _is_ase(maker) and not hasattr(maker, "calculator_meta"):
            calculator = maker.calculator
            found[stage] = Method(getattr(calculator, "name", type(calculator).__name__))
    return found


def _is_ase(maker: Any) -> bool:
    from atomate2.ase.jobs import AseRelaxMaker

    return isinstance(maker, AseRelaxMaker)


def _vasp_static(relax_maker: Any) -> Maker:
    """The same input set without ionic steps: cutoff, mesh, U and POTCARs stay."""
    from atomate2.vasp.jobs.core import StaticMaker

    from atomate2_vogen.engines.vasp_jobs import CheckedRelaxMaker, CheckedStaticMaker

    kind = CheckedStaticMaker if isinstance(relax_maker, CheckedRelaxMaker) else StaticMaker
    generator = relax_maker.input_set_generator
    incar = {**generator.user_incar_settings, **NO_STEPS}
    kept = {f.name: getattr(relax_maker, f.name) for f in fields(StaticMaker)}
    # a relaxation in several runs of VASP is none any more
    kept["run_vasp_kwargs"] = {
        name: value for name, value in relax_maker.run_vasp_kwargs.items() if name != "job_type"
    }
    kept["name"] = _static_name(relax_maker)
    kept["input_set_generator"] = replace(generator, user_incar_settings=incar)
    static: Maker = kind(**kept)
    return static


def _static_name(relax_maker: Any) -> str:
    name = str(relax_maker.name)
    return name.replace("relax", "static") if "relax" in name else f"{name} static"
