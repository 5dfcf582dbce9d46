"""Spin-resolved bands and density of states of a crystal by PBE+U, with free software.

Usage: GPAW_COMMAND=".../gpaw-env/bin/python" python examples/gpaw/electronic.py CIF [FOLDER]

`install.sh` beside this file installs GPAW. Rutile-type dioxide takes some ten minutes on one
core. Writes bands.png and dos.png into the folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Structure
from pymatgen.electronic_structure.plotter import BSPlotter, DosPlotter

from atomate2_vogen.engines import gpaw


def main(path: str, folder: str = "gpaw_electronic") -> None:
    """Static calculation, bands along lines, density of states; pictures and moments."""
    engine = gpaw(normalised_u=True)
    flow = engine.band_structure_maker.make(Structure.from_file(path))
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore(key="blob_uuid")})
    Path(folder).mkdir(parents=True, exist_ok=True)
    run_locally(flow, store=store, root_dir=folder, ensure_success=True)

    static = flow.output["static"].resolve(store)
    print(f"{engine.scheme}: {static.output.energy_per_atom:.4f} eV/atom")
    print(f"{static.output.total_moment:.2f} μB in the cell; by site {static.output.site_moments}")
    bands = BSPlotter(flow.output["line_bs"].resolve(store)).get_plot(ylim=(-8, 5))
    bands.figure.savefig(Path(folder) / "bands.png")
    densities = DosPlotter()
    dos = flow.output["uniform_dos"].resolve(store)
    densities.add_dos("total", dos)
    densities.add_dos_dict(dos.get_element_dos())
    densities.get_plot(xlim=(-8, 5)).figure.savefig(Path(folder) / "dos.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
