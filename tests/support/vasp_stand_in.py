"""Engines whose VASP is `fake_vasp`, with POTCARs that hold no licensed content.

Where VASP_CMD is set in the environment, and PMG_VASP_PSP_DIR with it, the real thing is used.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from atomate2.vasp.jobs.base import BaseVaspMaker
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import PotcarSingle

from atomate2_vogen.engines import Engine, load_engine

REAL = os.environ.get("VASP_CMD")
COMMAND = REAL or f"{sys.executable} {Path(__file__).with_name('fake_vasp.py')}"

POTCARS = {"V_pv": ("V", 11.0, 263.673), "O": ("O", 6.0, 400.0)}

HEADER = """  PAW_PBE {symbol} 01Jan2000
   {electrons:.12f}
 parameters from PSCTR are:
   VRHFIN ={element}: made up
   LEXCH  = PE
   EATOM  =   100.0000 eV,    7.0000 Ry

   TITEL  = PAW_PBE {symbol} 01Jan2000
   LULTRA =        F    use ultrasoft PP ?
   IUNSCR =        1    unscreen: 0-lin 1-nonlin 2-no
   RPACOR =    1.000    partial core radius
   POMASS =   50.000; ZVAL   =   {electrons:.3f}    mass and valenz
   RCORE  =    2.000    outmost cutoff radius
   RWIGS  =    2.000; RWIGS  =    1.000    wigner-seitz radius (au A)
   ENMAX  =  {enmax:.3f}; ENMIN  =  200.000 eV
   LCOR   =        T    correct aug charges
   LPAW   =        T    paw PP
   EAUG   =  500.000
   RMAX   =    2.000    core radius for proj-oper
   RAUG   =    1.300    factor for augmentation sphere
   RDEP   =    2.000    radius for radial grids
   QCUT   =   -5.000; QGAM   =   10.000    optimization parameters

  Description
    l     E      TYP  RCUT    TYP  RCUT
    2   .000    23  2.000
  END of PSCTR-controll parameters
 local part
  1.0 2.0 3.0
 End of Dataset
"""


def write_potcars(folder: Path) -> Path:
    """A folder for PMG_VASP_PSP_DIR with made-up POTCARs of both releases in use."""
    for functional in ("PBE_54", "PBE"):
        release = PotcarSingle.functional_dir[functional]
        (folder / release).mkdir(parents=True)
        for symbol, (element, electrons, enmax) in POTCARS.items():
            text = HEADER.format(symbol=symbol, element=element, electrons=electrons, enmax=enmax)
            (folder / release / f"POTCAR.{symbol}").write_text(text)
    return folder


def quick(engine: Engine) -> Engine:
    """Look every 50 ms, not every 10 s, whether VASP has ended.

    Handlers that watch a run then look at its end alone: on a busy machine they would see what
    the run before left, long before the new one has written a line.
    """
    patience = {"polling_time_step": 0.05, "monitor_freq": 10**6}
    makers = {
        name: getattr(engine, name).update_kwargs(
            {"_set": {"run_vasp_kwargs->custodian_kwargs": patience}},
            class_filter=BaseVaspMaker,
            dict_mod=True,
        )
        for name in ("relax_maker", "static_maker", "phonon_maker", "band_structure_maker")
    }
    return replace(engine, **makers)


def engine(name: str = "vasp", **options: Any) -> Engine:
    """`load_engine`, quick, with the stand-in or the real VASP."""
    return quick(load_engine(name, vasp_cmd=COMMAND, **options))


def coarse(engine: Engine) -> Engine:
    """The engine with a mesh for bands of a few k points."""
    bands = engine.band_structure_maker
    sparse = replace(bands.bs_maker.input_set_generator, dense_k_spacing=0.6)
    bands = replace(bands, bs_maker=replace(bands.bs_maker, input_set_generator=sparse))
    return replace(engine, band_structure_maker=bands)


def rutile(strain: float = 0.02) -> Structure:
    """Rutile-type VO2 near the toy's minimum."""
    a, c = 4.49 * (1 + strain), 3.01 * (1 - strain)
    return Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(a, c), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    )


def triclinic() -> Structure:
    """A small triclinic VO2 away from the toy's minimum."""
    return Structure(
        Lattice.from_parameters(3.1, 3.2, 3.6, 80, 95, 100),
        ["V", "O", "O"],
        [[0, 0, 0], [0.35, 0.4, 0.3], [0.65, 0.6, 0.7]],
    )
