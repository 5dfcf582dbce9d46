"""Relax the reference phases of a system with CHGNet; write the package data.

    OMP_NUM_THREADS=1 python tools/relax_references.py
    OMP_NUM_THREADS=1 python tools/relax_references.py --system Ti-O

For another engine run `ReferencesFlowMaker(engine=..., system=...)` yourself and
pass the documents on, or write them with `atomate2_vogen.engines.references.encode`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from monty.json import jsanitize

from atomate2_vogen.data.systems import load_system
from atomate2_vogen.engines import chgnet
from atomate2_vogen.engines.references import check_references, encode, references_filename
from atomate2_vogen.flows.references import ReferencesFlowMaker
from atomate2_vogen.schemas import ReferenceDoc


def main() -> None:
    """Relax, check, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("src/atomate2_vogen/engines/files"))
    parser.add_argument("--system", default="V-O", help="e.g. Ti-O, or a file of an OxideSystem")
    arguments = parser.parse_args()
    if not arguments.out.is_dir():  # before the work, not after it
        parser.error(f"--out {arguments.out} is no folder; start in the repository's root")
    engine, system = chgnet(), load_system(arguments.system)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    flow = ReferencesFlowMaker(engine=engine, system=system).make()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run_locally(flow, store=store, root_dir=folder, ensure_success=True, raise_immediately=True)
    found = store.get_output(flow.jobs[-1].uuid)
    references = [ReferenceDoc.model_validate(reference) for reference in found]
    check_references(references, engine.scheme, system)
    path = arguments.out / references_filename(engine.scheme, system)
    content = {
        "chemsys": system.chemsys,
        "scheme": engine.scheme,
        "references": jsanitize(references, strict=True, enum_values=True),
    }
    path.write_bytes(encode(content))
    for reference in references:
        print(f"{reference.name:20s} {reference.energy_per_atom:10.4f}  {reference.source}")
    wall = time.perf_counter() - started
    print(f"{len(references)} references in {path}, {wall:.0f} s")


if __name__ == "__main__":
    main()
