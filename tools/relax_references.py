"""Relax the reference phases of a system with an engine; write the package data.

OMP_NUM_THREADS=1 python tools/relax_references.py
OMP_NUM_THREADS=1 python tools/relax_references.py --engine sevennet --system Ti-O
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
from atomate2_vogen.engines import load_engine
from atomate2_vogen.engines.references import (
    check_references,
    encode,
    reference_structures,
    references_filename,
)
from atomate2_vogen.flows.references import ReferencesFlowMaker
from atomate2_vogen.schemas import ReferenceDoc


def main() -> None:
    """Relax, check, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("src/atomate2_vogen/engines/files"))
    parser.add_argument("--engine", default="chgnet", help="as of `load_engine`")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="SOURCE",
        help="phase to leave out, such as one that does not converge; recorded in the file. It must "
        "not lie on the hull",
    )
    parser.add_argument("--system", default="V-O", help="e.g. Ti-O, or a file of an OxideSystem")
    arguments = parser.parse_args()
    if not arguments.out.is_dir():  # before the work, not after it
        parser.error(f"--out {arguments.out} is no folder; start in the repository's root")
    system = load_system(arguments.system)
    engine = load_engine(arguments.engine, system)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    phases = reference_structures(system)
    if unknown := set(arguments.without) - {phase.source for phase in phases}:
        parser.error(f"--without: no phase is from {', '.join(sorted(unknown))}")
    wanted = [phase for phase in phases if phase.source not in arguments.without]
    flow = ReferencesFlowMaker(engine=engine, system=system).make(wanted)
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
        "left_out": arguments.without,
        "references": jsanitize(references, strict=True, enum_values=True),
    }
    path.write_bytes(encode(content))
    for reference in references:
        print(f"{reference.name:20s} {reference.energy_per_atom:10.4f}  {reference.source}")
    wall = time.perf_counter() - started
    print(f"{len(references)} references in {path}, {wall:.0f} s")


if __name__ == "__main__":
    main()
