"""Counts of prototypes in every setting that are read, refused and wrong, as a table.

``python tests/cases/count_settings.py`` takes one prototype of each group of matching ones;
``--all`` takes every one, ``--reader`` compares with other libraries. Exit code 1 if a file was
read as another crystal.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import gemmi
import numpy as np
from pymatgen.core import Structure
from pymatgen.io.cif import CifParser
from written_settings import KINDS, SYSTEMS, Written, chosen, in_every_setting

from atomate2_vogen.structures.reading.parsers import parse_structures

OUTCOMES = ("read", "refused", "wrong")
MAX_ATOMS = 400

Reader = Callable[[str], tuple[np.ndarray, np.ndarray, np.ndarray]]


def read_with_vogen(text: str):
    """Cell, atomic numbers and coordinates by this package."""
    (found,) = parse_structures("x.cif", text, MAX_ATOMS)
    if isinstance(found, Exception):
        raise found
    return _parts(found)


def read_with_pymatgen(text: str):
    """The same by pymatgen's parser alone; its check of the formula refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parser = CifParser.from_str(text, check_cif=False)
        (found,) = parser.parse_structures(primitive=False, on_error="raise")
        if "_chemical_formula_sum" in text and parser.check(found):
            raise ValueError("another formula")
    return _parts(found)


def read_with_gemmi(text: str):
    """The same by gemmi's small structures alone, which check nothing."""
    small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(text).sole_block())
    if small.spacegroup is None and not small.symops:
        raise ValueError("no space group")
    sites = small.get_all_unit_cell_sites()
    lattice = np.array(small.cell.orth.mat.tolist()).T
    numbers = np.array([site.element.atomic_number for site in sites])
    return lattice, numbers, np.array([site.fract.tolist() for site in sites])


READERS = {
    "vogen": read_with_vogen,
    "pymatgen": read_with_pymatgen,
    "gemmi": read_with_gemmi,
}


def _parts(structure: Structure):
    return structure.lattice.matrix, np.array(structure.atomic_numbers), structure.frac_coords


def outcome(
    written: Written, symmetry: str, content: str, digits: int = 5, read: Reader = read_with_vogen
) -> str:
    """What became of the file: "read", "refused", or "wrong" for another crystal."""
    try:
        parts = read(written.cif(symmetry, content, digits))
    except Exception:  # noqa: BLE001 - other libraries raise what they like
        return "refused"
    return "read" if written.is_same(*parts, digits) else "wrong"


def count(
    system: str,
    *,
    everything: bool = False,
    step: int = 1,
    each_group: bool = False,
    digits: int = 5,
    read: Reader = read_with_vogen,
) -> tuple[Counter, int, int, list[str]]:
    """Outcomes by kind of file; prototypes, cells, and the wrong ones by name.

    `each_group` takes the first prototype of each space group alone.
    """
    outcomes: Counter = Counter()
    wrong: list[str] = []
    prototypes = chosen(system, everything=everything)[::step]
    if each_group:
        prototypes = list({p.space_group: p for p in reversed(prototypes)}.values())
    cells = 0
    for prototype in prototypes:
        for written in in_every_setting(prototype):
            cells += 1
            for symmetry, content in KINDS:
                found = outcome(written, symmetry, content, digits, read)
                outcomes[symmetry, content, found] += 1
                if found == "wrong":
                    wrong.append(f"{written.name} {written.setting}: {symmetry}; {content}")
    return outcomes, len(prototypes), cells, wrong


def table(system: str, outcomes: Counter, prototypes: int, cells: int) -> list[str]:
    """Lines of the table of one crystal system."""
    heads = "".join(f"{kind:>9}" for kind in OUTCOMES)
    lines = [
        f"{system}: {prototypes} prototypes in {cells} cells, {outcomes.total()} files",
        f"  {'symmetry in the file':34}{'content':12}{heads}",
    ]
    for symmetry, content in KINDS:
        counts = "".join(f"{outcomes[symmetry, content, kind]:9}" for kind in OUTCOMES)
        lines.append(f"  {symmetry:34}{content or '-':12}{counts}")
    totals = (sum(n for key, n in outcomes.items() if key[2] == kind) for kind in OUTCOMES)
    return [*lines, f"  {'all':46}" + "".join(f"{total:9}" for total in totals)]


def main() -> int:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--all", action="store_true", help="every prototype")
    options.add_argument("--step", type=int, default=1, help="every n-th prototype only")
    options.add_argument("--digits", type=int, default=5, help="decimals of coordinates")
    options.add_argument("--reader", choices=READERS, default="vogen", help="library that reads")
    given = options.parse_args()
    all_wrong: list[str] = []
    start = time.process_time()
    for system in SYSTEMS:
        outcomes, prototypes, cells, wrong = count(
            system,
            everything=given.all,
            step=given.step,
            digits=given.digits,
            read=READERS[given.reader],
        )
        sys.stdout.write("\n".join(table(system, outcomes, prototypes, cells)) + "\n")
        all_wrong += wrong
    sys.stderr.write(f"{time.process_time() - start:.0f} s of CPU time\n")
    sys.stderr.write("".join(f"{line}\n" for line in all_wrong[:20]))
    return 1 if all_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
