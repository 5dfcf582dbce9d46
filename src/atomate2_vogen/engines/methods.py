"""The method behind an energy: as a Maker declares it, and as a task document states it.

Energies of one scheme are taken as comparable, so a scheme and the method of its energies belong
together. `Engine` keeps the method of each of its Makers beside the scheme; a Maker that changes
its method without a new scheme is refused when the engine is made, and a task document that states
another method is refused when its energy is read.

Everything is read by attribute: nothing here imports atomate2, torch or pymatgen's VASP module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from importlib import resources
from typing import Any

from monty.json import MSONable, jsanitize

from atomate2_vogen.engines import methods_vasp
from atomate2_vogen.errors import SchemeMismatchError

VASP, GPAW = "VASP", "GPAW"

STAGES: dict[str, tuple[str, ...]] = {
    "relax": ("relax_maker",),
    "static": ("static_maker",),
    "phonon relax": ("phonon_maker", "bulk_relax_maker"),
    "phonon forces": ("phonon_maker", "phonon_displacement_maker"),
    "bands static": ("band_structure_maker", "static_maker"),
    "bands": ("band_structure_maker", "bs_maker"),
}
"""Where the Maker of each stage is found in an engine."""

NAMED = (
    "allegro", "chgnet", "deepmd", "diep", "fairchem", "gap", "gpaw", "m3gnet", "mace", "matpes",
    "mattersim", "nep", "nequip", "sevennet", "upet", "vasp",
)  # fmt: skip
"""First words by which a scheme is named after a model or program."""

NO_EFFECT = {
    "check_cuda_mem", "device", "enable_cueq", "enable_flash", "enable_oeq", "on_isolated_atoms",
    "use_device", "verbose",
}  # fmt: skip
"""Arguments of calculators that choose hardware or messages and leave energies as they are."""


@dataclass(frozen=True)
class Method(MSONable):
    """Model or program, and settings, that compute an energy.

    Parameters
    ----------
    code
        Model or program: ``CHGNet`` (atomate2's name of a force field), ``VASP``, ``GPAW``, or
        ``module.callable`` of a calculator that atomate2 has no name for.
    settings
        What moves its energies: arguments of a calculator (``arguments``), tags, U and POTCARs of
        VASP, parameters of GPAW.
    scheme
        Energy scale that it belongs to.

    Examples
    --------
    >>> from atomate2_vogen.engines import Method
    >>> str(Method("CHGNet", {"arguments": {"model": "0.3.0"}}, scheme="CHGNet-0.3.0"))
    "CHGNet with {'model': '0.3.0'}"
    """

    code: str
    settings: dict[str, Any] = field(default_factory=dict)
    scheme: str = ""

    def __str__(self) -> str:
        """Code and settings that fit into a message."""
        arguments = self.settings.get("arguments")
        return f"{self.code} with {arguments}" if arguments else self.code


def energy_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a calculator that move its energies, as plain values."""
    kept: dict[str, Any] = jsanitize({k: v for k, v in arguments.items() if k not in NO_EFFECT})
    return kept


def calculator_name(meta: Any) -> str:
    """Name of a calculator: atomate2's for a force field that it knows, else its import path."""
    return str(meta.name if isinstance(meta, Enum) else meta).removeprefix("MLFF.")


def last_maker(maker: Any) -> Any:
    """The last of several relaxations in a row, as of atomate2's ``DoubleRelaxMaker``."""
    return getattr(maker, "relax_maker2", None) or maker


def declared_method(maker: Any, scheme: str) -> Method | None:
    """The method that a Maker declares; None where its class is not known here.

    Raises
    ------
    SchemeMismatchError
        If a force-field Maker has the name of one model and the calculator of another, as after
        ``update_kwargs({"force_field_name": ...})``: atomate2 would run the old calculator under
        the new name.
    """
    maker = last_maker(maker)
    if hasattr(maker, "calculator_meta"):
        code = calculator_name(maker.calculator_meta)
        name = calculator_name(maker.force_field_name)
        if name not in (code, "Forcefield"):
            raise SchemeMismatchError(
                f"Maker {maker.name!r} has force_field_name {name} and the calculator {code}; "
                f"give the engine a new Maker made with force_field_name={name!r}, and a scheme "
                "for it"
            )
        return Method(code, {"arguments": energy_arguments(maker.calculator_kwargs)}, scheme)
    if hasattr(maker, "input_set_generator"):
        return Method(VASP, methods_vasp.declared(maker.input_set_generator), scheme)
    if hasattr(getattr(maker, "settings", None), "setups"):
        settings = {
            "scheme": maker.settings.scheme(maker.system),
            **_gpaw_settings(maker.settings.__dict__),
            "setups": maker.settings.setups(maker.system),
        }
        return Method(GPAW, settings, scheme)
    return None


def declared_methods(engine: Any) -> dict[str, Method]:
    """Methods of the stages of an engine, as far as its Makers declare them.

    Methods that the engine was given are used for Makers that declare none.

    Raises
    ------
    SchemeMismatchError
        If a Maker's method is not that which the engine was given for the same scheme, or the
        scheme is named after another model or program.
    """
    given: dict[str, Method] = engine.methods or {}
    found: dict[str, Method] = {}
    for stage, path in STAGES.items():
        maker = engine
        for name in path:
            maker = getattr(maker, name, None)
        if maker is None:
            continue
        scheme = _scheme_of(engine, stage)
        method = declared_method(maker, scheme)
        known = given.get(stage)
        if known is not None and (known.scheme or scheme) == scheme:
            if method is not None and (method.code, method.settings) != (
                known.code,
                known.settings,
            ):
                raise SchemeMismatchError(
                    f"engine {engine.name}: {' of '.join(reversed(path))} computes by "
                    f"{_differing(method, known)}, but scheme {scheme} is by "
                    f"{_differing(known, method)}; give the engine another scheme, for its "
                    "energies are others"
                )
            method = Method(known.code, known.settings, scheme)
        if method is not None:
            _check_name(engine.name, scheme, method)
            found[stage] = method
    return found


def check_method(document: Any, expected: Method | None, versions: Mapping[str, str]) -> None:
    """Refuse a task document of another method than that of the scheme.

    Parameters
    ----------
    document
        Task document of atomate2 or of this package.
    expected
        Method of the scheme; None where the Maker declares none.
    versions
        Versions that the engine was made with, by package.

    Raises
    ------
    SchemeMismatchError
        Naming what was found and what is expected: another model, program, version or setting;
        or a document that states no method where the method is known, and the other way round.
    """
    found = told_method(document)
    if expected is None:
        if found is None:
            return
        raise SchemeMismatchError(
            f"{found} computed this, and the engine does not state its method; make it with "
            f"methods={{'static': Method({found.code!r}), ...}} if that is the one"
        )
    scheme = f" of scheme {expected.scheme}" if expected.scheme else ""
    if found is None:
        raise SchemeMismatchError(
            f"the {type(document).__name__} does not state what computed it; the method{scheme} is "
            f"{expected.code}"
        )
    if not _same_code(found.code, expected.code):
        raise SchemeMismatchError(
            f"{found.code} computed this, but the method{scheme} is {expected.code}"
        )
    if expected.code == VASP and expected.settings:
        differences = methods_vasp.differences(document, expected.settings)
    else:
        differences = _differences(found.settings, expected.settings)
    differences += _version_differences(document, expected.code, versions)
    if differences:
        raise SchemeMismatchError(
            f"{expected.code} computed this with {'; '.join(differences)}: another scheme"
            f"{f' than {expected.scheme}' if expected.scheme else ''}"
        )


def told_method(document: Any) -> Method | None:
    """Method stated in a task document; None where there is none."""
    if calculator := getattr(document, "calculator", None):
        return Method(calculator, {"arguments": document.calculator_arguments or {}})
    for name in ("forcefield_name", "ase_calculator_name"):
        if told := getattr(document, name, None):
            return Method(calculator_name(told))
    if getattr(document, "calcs_reversed", None):
        return Method(VASP)
    given: Any = getattr(document, "input", None)
    if getattr(given, "scheme", None) and getattr(given, "parameters", None) is not None:
        settings = {"scheme": given.scheme, **_gpaw_settings(given.parameters)}
        return Method(GPAW, settings)
    return None


def _scheme_of(engine: Any, stage: str) -> str:
    bands = engine.band_structure_scheme if stage.startswith("bands") else None
    return str(bands or engine.scheme)


def _check_name(engine: str, scheme: str, method: Method) -> None:
    """Refuse a scheme that is named after a model or program which does not compute it."""
    named = family(scheme)
    if named not in NAMED or family(method.code) == named:
        return
    # own calculators may wrap a named model with other weights, under another scheme
    if family(method.code) in NAMED or has_shipped_references(scheme):
        raise SchemeMismatchError(
            f"engine {engine} computes by {method.code}; its scheme cannot be {scheme}, which is "
            "named after another: give it another scheme"
        )


def family(name: str) -> str:
    """First word of a code or scheme, in small letters: ``mace`` for ``MACE_MP_0``."""
    return re.split(r"[^A-Za-z0-9]", name, maxsplit=1)[0].lower()


def has_shipped_references(scheme: str) -> bool:
    """Whether the package has reference phases of a scheme, for any oxide."""
    from atomate2_vogen.engines.references import safe_scheme

    folder = resources.files("atomate2_vogen.engines") / "files"
    ending = f"_{safe_scheme(scheme)}.json.gz"
    return any(file.name.endswith(ending) for file in folder.iterdir())


def _same_code(found: str, expected: str) -> bool:
    """Plain documents of atomate2 state only the last part of the path of a custom calculator."""
    return found == expected or ("." not in found and expected.rpartition(".")[2] == found)


def _differing(method: Method, other: Method) -> str:
    """Settings of a method that another one does not share."""
    if method.code != other.code:
        return str(method)
    changed = {k: v for k, v in method.settings.items() if other.settings.get(k) != v}
    return f"{method.code} with {changed}"


def _differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Settings that both methods state and that differ."""
    return [
        f"{name} = {found[name]} instead of {expected[name]}"
        for name in sorted(set(found) & set(expected))
        if not _agree(name, found[name], expected[name])
    ]


def _agree(name: str, found: Any, expected: Any) -> bool:
    if name == "setups":  # a crystal has some of the elements of the system
        return all(expected.get(symbol) == value for symbol, value in found.items())
    return bool(found == expected)


def _version_differences(document: Any, code: str, versions: Mapping[str, str]) -> list[str]:
    """Versions in the document differ from those of the engine."""
    package = family(code)
    told = {
        package: getattr(document, "forcefield_version", None),
        f"{package}-model": getattr(document, "model_version", None),
    }
    if code == GPAW:
        told = dict(getattr(document, "engine_versions", None) or {})
        told = {name: told.get(name) for name in ("gpaw", "gpaw-data")}
    return [
        f"{name} {found} instead of {versions[name]}"
        for name, found in told.items()
        if name in versions and found is not None and found != versions[name]
    ]


def _gpaw_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in ("cutoff", "setups", "smearing", "xc") if name in values}
