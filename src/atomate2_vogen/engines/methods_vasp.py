"""The method of a VASP calculation: its tags, Hubbard U and POTCARs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymatgen.core import Element

TAGS = (
    "AEXX", "ENCUT", "GGA", "HFSCREEN", "IVDW", "LASPH", "LHFCALC", "LSORBIT", "LUSE_VDW",
    "METAGGA",
)  # fmt: skip
"""INCAR tags that move energies and that no error handler changes, the Hubbard U apart."""

VASP_DEFAULTS: dict[str, Any] = {
    "GGA": "PE",  # that of the PBE POTCARs
    "METAGGA": "NONE",
    "IVDW": 0.0,
    "LASPH": False,
    "LHFCALC": False,
    "LSORBIT": False,
    "LUSE_VDW": False,
}
"""Values of tags that are not written."""


def declared(generator: Any) -> dict[str, Any]:
    """Tags, table of U and table of POTCAR symbols of an input-set generator."""
    config = getattr(generator, "_config_dict", None) or getattr(generator, "config_dict", {})
    incar = {
        **config.get("INCAR", {}),
        **(getattr(generator, "incar_updates", None) or {}),
        **(getattr(generator, "user_incar_settings", None) or {}),
    }
    potcars = getattr(generator, "user_potcar_settings", None) or {}
    return {
        "tags": _tags(incar),
        "hubbard_u": dict(incar.get("LDAUU") or {}) if incar.get("LDAU") else {},
        "potcars": {**config.get("POTCAR", {}), **potcars},
    }


def differences(document: Any, expected: Mapping[str, Any]) -> list[str]:
    """Differences of a task document from the declared settings, in words.

    Parameters
    ----------
    document
        emmet's task document.
    expected
        As of `declared`.
    """
    run = document.calcs_reversed[0]
    given = run.input
    incar = dict(given.incar or getattr(document.orig_inputs, "incar", None) or {})
    found_tags, tags = _tags(incar), expected["tags"]
    words = [
        f"{name} = {found_tags.get(name)} instead of {tags.get(name)}"
        for name in TAGS
        if found_tags.get(name) != tags.get(name)
    ]
    symbols = [element.symbol for element in document.structure.composition.elements]
    found_u = _nonzero(given.hubbards or {}) if given.is_hubbard else {}
    wanted_u = _nonzero(hubbard_u(symbols, expected["hubbard_u"]))
    if found_u != wanted_u:
        words.append(f"U = {found_u or 'none'} instead of {wanted_u or 'none'}")
    run_type = str(getattr(run.run_type, "value", run.run_type or ""))
    if run_type and run_type.endswith("+U") is not bool(wanted_u):
        words.append(f"run type {run_type}")
    table = expected["potcars"]
    wanted_potcars = sorted(table.get(symbol, symbol) for symbol in symbols)
    found_potcars = sorted({_symbol(title) for title in _titles(given)})
    if found_potcars and found_potcars != wanted_potcars:
        words.append(f"POTCARs {' '.join(found_potcars)} instead of {' '.join(wanted_potcars)}")
    return words


def hubbard_u(symbols: Iterable[str], table: Mapping[str, Any]) -> dict[str, float]:
    """U in eV of each element of a compound, by pymatgen's rule for tables of ``LDAUU``.

    A table for the compound's most electronegative element goes first; else values by element.
    """
    symbols = list(symbols)
    anion = max(symbols, key=lambda symbol: Element(symbol).X)
    values = table.get(anion) if isinstance(table.get(anion), Mapping) else table
    return {
        symbol: float(value)
        for symbol in symbols
        if isinstance(value := (values or {}).get(symbol, 0), int | float)
    }


def _nonzero(values: Mapping[str, float]) -> dict[str, float]:
    return {symbol: float(u) for symbol, u in sorted(values.items()) if u}


def _tags(incar: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `TAGS`, one spelling for each value; unwritten ones have VASP's default."""
    found = {}
    for name in TAGS:
        value = incar.get(name)
        if value is None:
            value = VASP_DEFAULTS.get(name)
        if isinstance(value, str):
            value = value.strip().upper()
        elif isinstance(value, int | float) and not isinstance(value, bool):
            value = float(value)
        if value is not None:
            found[name] = value
    return found


def _titles(given: Any) -> list[str]:
    if given.potcar_spec:
        return [str(spec.titel) for spec in given.potcar_spec if spec.titel]
    return [str(title) for title in given.potcar or []]


def _symbol(title: str) -> str:
    """``V_pv`` of ``PAW_PBE V_pv 07Sep2000``, or of itself."""
    words = title.split()
    return words[1] if len(words) > 1 else words[0]
