"""Ask a database for crystals, look at them in pandas, and draw hull and formation energies.

Usage: python examples/query_and_plot.py [mongodb://localhost/vogen] [FOLDER]

The place may be a folder as well, such as vogen_output.
"""

from __future__ import annotations

import sys
from pathlib import Path

from atomate2_vogen import CrystalFilter, VogenStores
from atomate2_vogen.plotting import plot_formation_energies, plot_hull
from atomate2_vogen.schemas import ReferenceDoc


def main(where: str = "mongodb://localhost/vogen", folder: str = "query_output") -> None:
    """The database chooses and sorts; only what was asked for comes over the wire."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    with VogenStores.open(where) as stores:
        rows = stores.query(CrystalFilter(max_hull=0.1), limit=20)
        frame = rows.to_frame()
        columns = ["candidate_id", "energy_above_hull", "space_group_symbol", "is_novel"]
        print(frame[columns].to_string(index=False))
        print(frame.groupby("formula").energy_above_hull.agg(["count", "min"]))
        for name, structure in rows.structures().items():
            structure.to(filename=str(out / f"{name.replace('|', '-')}.cif"))

        every = stores.query()
        documents = list(every.documents())
        references = stores.load(ReferenceDoc)
    plot_hull(documents, references, out / "hull.png")
    plot_formation_energies(documents, out / "formation_energy.png")
    print(f"{len(frame)} of {len(every)} within 0.1 eV/atom; pictures and CIFs in {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])
