"""Prototypes in every setting of their space group: read as the same crystal, or refused.

`count_settings.py` prints the table of the whole family, which `settings.txt` keeps.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from written_settings import KINDS, SYSTEMS, chosen, in_every_setting

_SPEC = importlib.util.spec_from_file_location(
    "count_settings", Path(__file__).parent / "count_settings.py"
)
count_settings = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(count_settings)

STEPS = {"monoclinic": 70, "orthorhombic": 75, "trigonal": 45}


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_no_setting_of_any_space_group_is_read_as_another_crystal(system):
    """One prototype of each of 72 space groups; `settings.txt` has all prototypes."""
    outcomes, _, cells, wrong = count_settings.count(system, each_group=True)
    assert wrong == []
    for symmetry, content in KINDS:
        if symmetry.startswith(("operations", "Hall")):
            assert outcomes[symmetry, content, "read"] == cells


@pytest.mark.parametrize("system", SYSTEMS)
def test_three_digits_make_no_other_crystal(system):
    *_, wrong = count_settings.count(system, step=STEPS[system], digits=3)
    assert wrong == []


def test_the_short_symbol_of_a_tilted_cell_is_enough():
    for prototype in chosen("monoclinic")[::90]:
        for written in in_every_setting(prototype):
            assert count_settings.outcome(written, "short symbol", "") == "read"


def test_the_comparison_finds_another_crystal():
    """The family would notice: pymatgen alone takes the standard setting for a number."""
    prototype = next(p for p in chosen("monoclinic") if p.space_group == 14)
    found = {
        count_settings.outcome(written, "number", "", read=count_settings.read_with_pymatgen)
        for written in in_every_setting(prototype)
    }
    assert "wrong" in found
