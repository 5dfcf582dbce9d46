"""Settings of an engine for one of atomate2's force fields, or for an ASE calculator of your own."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any, Literal

from atomate2_vogen.engines.corrections import MP2020Corrections
from atomate2_vogen.engines.energy_corrections import EnergyCorrections
from atomate2_vogen.engines.known_models import (
    KNOWN_MODELS,
    PACKAGES,
    KnownModel,
    find_model,
    require_package,
)
from atomate2_vogen.engines.methods import family, has_shipped_references
from atomate2_vogen.errors import InputError, MissingDependencyError, SchemeMismatchError

logger = logging.getLogger(__name__)

Corrections = EnergyCorrections | Literal["known"] | None
"""``known``: what `KNOWN_MODELS` says about the model; None: energies stay as they are."""


@dataclass(frozen=True)
class _Calculator:
    """A calculator that was asked for.

    Parameters
    ----------
    label
        Name of the engine in tables and messages.
    meta
        Value of ``force_field_name`` of atomate2's Makers.
    code
        Name of the member of ``MLFF``, or the import path.
    """

    label: str
    meta: str | dict[str, str]
    code: str


def force_field_settings(
    force_field: Any,
    scheme: str | None,
    *,
    calculator_kwargs: Mapping[str, Any] | None,
    energy_corrections: Corrections,
    fmax: float,
    steps: int,
    phonon_min_length: float,
    phonon_displacement: float | None,
) -> dict[str, Any]:
    """Arguments of an `Engine`; parameters and errors as of `Engine.from_force_field`."""
    calculator = _find(force_field)
    package_version = require_package(calculator.code)
    given = dict(calculator_kwargs or {})
    known = find_model(calculator.code, given)
    is_known = known is not None
    # other weights of a known force field get its arguments that do not choose weights
    model = known or next(iter(KNOWN_MODELS.get(calculator.code, ())), KnownModel(weights=str))
    arguments = {**model.arguments, **given}
    label = model.label or calculator.label
    if energy_corrections == "known":
        energy_corrections = model.energy_corrections if is_known else None
        if not is_known:
            logger.warning(
                "whether energies of %s need corrections before they meet on a hull is not known; "
                "none are added. Give energy_corrections where they do",
                label,
            )
    own = _scheme(label, model, energy_corrections) if is_known else None
    if scheme is None:
        scheme = own or _no_scheme(label, arguments)
    elif scheme != own and has_shipped_references(scheme):
        raise SchemeMismatchError(
            f"scheme {scheme} has shipped references, whose energies are others than those of "
            f"{label} with {arguments} and corrections {energy_corrections}; give "
            "another scheme"
        )
    versions = {} if package_version is None else {family(calculator.code): package_version}
    if is_known:
        versions[f"{family(calculator.code)}-model"] = model.weights()

    from atomate2_vogen.engines.forcefields import force_field_makers

    return {
        "name": (known and known.name) or re.sub(r"[^a-z0-9]+", "-", label.lower()),
        "scheme": scheme,
        **force_field_makers(
            calculator.meta,
            arguments,
            label=label,
            fmax=fmax,
            steps=steps,
            phonon_min_length=phonon_min_length,
            phonon_displacement=phonon_displacement or model.phonon_displacement,
            keeps_mirrors=model.keeps_mirrors,
        ),
        "engine_versions": {**versions, "atomate2": version("atomate2")},
        "energy_corrections": energy_corrections,
        "known_weakness": model.weakness,
        "functional": known.functional if known else "",
        "training_data": known.training_data if known else (),
    }


def _find(force_field: Any) -> _Calculator:
    """The calculator of a name, a member of ``MLFF``, an import path or a monty dictionary."""
    from atomate2.forcefields.utils import MLFF

    try:
        member = MLFF(force_field)
    except ValueError:
        member = MLFF.Forcefield  # atomate2's placeholder for what has no name
    if member is not MLFF.Forcefield:
        return _Calculator(label=member.value, meta=member.value, code=member.name)
    if isinstance(force_field, Mapping):
        callable_name = force_field.get("@callable") or force_field.get("@class")
        force_field = f"{force_field.get('@module') or ''}.{callable_name or ''}"
    module, _, name = force_field.rpartition(".") if isinstance(force_field, str) else ("", "", "")
    if not (module and name) or module == MLFF.__name__:
        names = ", ".join(sorted(m.value for m in MLFF if m is not MLFF.Forcefield))
        raise InputError(
            f"force field {force_field!r} is unknown; atomate2 has {names}. Give an ASE calculator "
            "of your own by its import path, e.g. 'my_module.my_calculator'"
        )
    if force_field in PACKAGES:
        require_package(force_field)  # not imported before a job needs it: it loads torch
    else:
        _require_callable(module, name)
    return _Calculator(
        label=name, meta={"@module": module, "@callable": name}, code=f"{module}.{name}"
    )


def _require_callable(module: str, name: str) -> None:
    try:
        found = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"the calculator {module}.{name} needs the module {error.name}, which is neither "
            "installed nor on the Python path"
        ) from error
    if not callable(found):
        raise InputError(f"module {module} has no calculator {name}")


def _scheme(label: str, model: KnownModel, corrections: EnergyCorrections | None) -> str | None:
    """Scheme of a known model; None for corrections that have no name."""
    if corrections is None:
        return f"{label}-{model.weights()}"
    if isinstance(corrections, MP2020Corrections):
        return f"{label}-{model.weights()}+MP2020"
    return None


def _no_scheme(label: str, arguments: Mapping[str, Any]) -> str:
    described = f" with {dict(arguments)}" if arguments else ""
    raise InputError(
        f"the energy scale of {label}{described} is not known; name it with scheme=, the weights "
        "included. For a model of the Materials Project's uncorrected energies give "
        "energy_corrections=MP2020Corrections() too"
    )
