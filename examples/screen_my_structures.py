"""Judge structure files of your own: relaxed, placed on the hull, compared with known phases.

Usage: python examples/screen_my_structures.py FILE_OR_FOLDER [STORE]
"""

from __future__ import annotations

import sys

from jobflow import run_locally

from atomate2_vogen import EvaluateMaker, VogenStores, build_stability, load_engine
from atomate2_vogen.schemas import EvaluationDoc
from atomate2_vogen.stores import parse
from atomate2_vogen.structures import read_structures


def main(path: str, folder: str = "screened_store") -> None:
    """A file that cannot be used is named with its reason, and the others go on."""
    found, bad = read_structures([path])
    for file in bad:
        print(f"left out: {file.error}")

    engine = load_engine("chgnet")
    flow = EvaluateMaker(engine=engine).make([crystal.structure for crystal in found])
    with VogenStores.open(folder, create=True) as stores:
        run_locally(flow, store=stores.job_store, ensure_success=True)
        made = parse(EvaluationDoc, stores.job_store.get_output(flow.output.uuid, load=True))
        build_stability(stores)
    for crystal, doc in zip(found, made.stability, strict=True):
        before, after = doc.initial_energy_above_hull, doc.energy_above_hull
        what = doc.known_as or ("novel" if doc.is_novel else doc.reason)
        print(f"{crystal.label}: {doc.state} {before} -> {after} eV/atom above hull, {what}")


if __name__ == "__main__":
    main(*sys.argv[1:])
