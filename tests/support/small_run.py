"""An output folder as ``vogen evaluate`` leaves it, without computing anything."""

from __future__ import annotations

from pathlib import Path

import reported
from click.testing import CliRunner


def make_run(folder: Path) -> None:
    """The output folder of a small run: nine calculations, one with bands, one with phonons."""
    from atomate2_vogen.cli.main import cli
    from atomate2_vogen.cli.output import OutputFolder
    from atomate2_vogen.cli.session import engine_identity
    from atomate2_vogen.schemas import StabilityDoc
    from atomate2_vogen.stability.metrics import measure
    from atomate2_vogen.stores import VogenStores

    made = reported.calculations()
    first = made[0].candidate_id
    with OutputFolder(folder, "evaluate", engine_identity("chgnet")):
        pass
    with VogenStores.open(folder / "store", create=True) as stores:
        stores.save(made)
        stores.save([one.candidate for one in made])
        stores.save([reported.electronic(first), reported.phonons(first)])
    check(CliRunner().invoke(cli, ["build", str(folder)]))
    with VogenStores.open(folder / "store") as stores:
        stability = stores.load(StabilityDoc)
    metrics = measure([one.candidate for one in made], made, stability)
    (folder / "metrics.json").write_text(metrics.model_dump_json())
    check(CliRunner().invoke(cli, ["report", str(folder)]))


def shared(folder: Path) -> Path:
    """The same, made once."""
    if not folder.exists():
        make_run(folder)
    return folder


def check(result) -> None:
    """Refuse a run that is not whole."""
    assert result.exit_code == 0, result.output
