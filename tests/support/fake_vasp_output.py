"""The files that VASP leaves behind, from what `fake_vasp` computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import toy_bands

KILOBAR = 1602.1766208  # per eV/Å³
ORBITALS = ("s", "py", "pz", "px", "dxy", "dyz", "dz2", "dxz", "x2-y2")


def poscar_text(run: dict, lattice: np.ndarray, frac: np.ndarray, comment: str = "toy") -> str:
    """A structure in VASP 5's form."""
    counts = [str(run["symbols"].count(kind)) for kind in run["kinds"]]
    rows = [" ".join(f"{x:21.16f}" for x in row) for row in (*lattice, *frac)]
    head = [comment, "   1.0", *rows[:3], " ".join(run["kinds"]), " ".join(counts), "Direct"]
    return "\n".join([*head, *rows[3:]]) + "\n"


def write_contcar(run: dict, frame: tuple) -> None:
    """CONTCAR."""
    Path("CONTCAR").write_text(poscar_text(run, frame[0], frame[1]))


def write_chgcar(run: dict, frame: tuple) -> None:
    """CHGCAR of an even density on a 2×2×2 grid; the comment tells U."""
    comment = " ".join(["toy", *(f"{value:g}" for value in run["u"])])
    grids = [run["nelect"], run["moment"]][: run["ispin"]]
    blocks = ["   2   2   2\n" + (f" {value:.11E}" * 8) for value in grids]
    text = poscar_text(run, frame[0], frame[1], comment) + "\n" + "\n".join(blocks) + "\n"
    Path("CHGCAR").write_text(text)


def write_oszicar(run: dict) -> None:
    """OSZICAR."""
    lines = []
    before = 0.0
    for step, frame in enumerate(run["frames"], start=1):
        lines.append("       N       E                     dE             d eps       ncg     rms")
        for cycle in range(1, run["cycles"] + 1):
            change = _change(run, cycle)
            lines.append(
                f"DAV: {cycle:3d}   {frame[2] + change:20.12E}  {-change:12.5E}  {-change:12.5E}"
                f"  1000   0.100E-01"
            )
        mag = f"  mag= {run['moment']:9.4f}" if run["ispin"] == 2 else ""
        difference = frame[2] - before if step > 1 else frame[2]
        lines.append(f"{step:4d} F= {frame[2]:.8E} E0= {frame[2]:.8E}  d E ={difference:.6E}{mag}")
        before = frame[2]
    Path("OSZICAR").write_text("\n".join(lines) + "\n")


def _change(run: dict, cycle: int) -> float:
    """How far the electrons of a cycle are from the end, in eV."""
    return 0.5 if run["cycles"] == run["nelm"] else 10.0 ** (-2 * cycle)


def write_outcar(run: dict) -> None:
    """The parts of OUTCAR that are read by anyone."""
    kpoints = len(run["kpoints"]["points"])
    lines = [
        " vasp.6.4.2 toy",
        " executed on             LinuxIFC date 2024.01.01  00:00:00",
        " running on    1 total cores",
        f"   k-points           NKPTS = {kpoints:6d}   number of bands    NBANDS= {run['nbands']:6d}",
        "   total plane-waves  NPLWV =   1000",
        f"   ISPIN  = {run['ispin']:6d}    spin polarized calculation?",
        f"   IBRION = {int(run['number'].get('IBRION', -1)):6d}    ionic relax",
        "   LNONCOLLINEAR =      F non collinear calculations",
    ]
    for step, frame in enumerate(run["frames"], start=1):
        for cycle in range(1, run["cycles"] + 1):
            lines += [
                f"----- Iteration {step:6d}({cycle:4d})  ------",
                "  entropy T*S    EENTRO =        -0.00100000",
            ]
        if run["cycles"] < run["nelm"]:
            lines.append("------------ aborting loop because EDIFF is reached ----------")
        lines += [
            f" number of electron  {run['nelect']:12.7f} magnetization  {run['moment']:12.7f}",
            f" E-fermi :  {run['fermi']:8.4f}     XC(G=0):  -9.0000     alpha+bet : -8.0000",
            "  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)",
            f"  free  energy   TOTEN  =  {frame[2]:18.8f} eV",
            f"  energy  without entropy={frame[2]:18.8f}  energy(sigma->0) ={frame[2]:18.8f}",
            "     total drift:                                0.000000      0.000000     -0.000000",
        ]
    if "LORBIT" in run["number"]:
        lines += _table(" total charge", [run["electrons"][symbol] for symbol in run["symbols"]])
        if run["ispin"] == 2:
            lines += _table(" magnetization (x)", run["moments"])
    lines += [
        " General timing and accounting informations for this job:",
        "                  Total CPU time used (sec):        1.500",
        "                            User time (sec):        1.000",
        "                          System time (sec):        0.500",
        "                         Elapsed time (sec):        2.000",
        "                   Maximum memory used (kb):      100000.",
        "                   Average memory used (kb):          N/A",
    ]
    Path("OUTCAR").write_text("\n".join(lines) + "\n")


def _table(title: str, values: list[float]) -> list[str]:
    rule = "-" * 42
    rows = [
        f"{index:5d}       0.000   0.000  {value:6.3f}  {value:6.3f}"
        for index, value in enumerate(values, start=1)
    ]
    total = f"tot         0.000   0.000  {sum(values):6.3f}  {sum(values):6.3f}"
    return ["", title, "", "# of ion       s       p       d       tot", rule, *rows, rule, total]


def _row(values: np.ndarray, digits: int = 8) -> str:
    return " ".join(f"{value:.{digits}f}" for value in values)


def _varray(name: str, rows: np.ndarray, digits: int = 8) -> str:
    body = "\n".join(f"<v> {_row(row, digits)} </v>" for row in np.atleast_2d(rows))
    return f'<varray name="{name}">\n{body}\n</varray>'


def _structure(lattice: np.ndarray, frac: np.ndarray, name: str = "") -> str:
    label = f' name="{name}"' if name else ""
    volume = abs(np.linalg.det(lattice))
    reciprocal = np.linalg.inv(lattice).T
    return (
        f"<structure{label}>\n<crystal>\n{_varray('basis', lattice)}\n"
        f'<i name="volume"> {volume:.8f} </i>\n{_varray("rec_basis", reciprocal)}\n</crystal>\n'
        f"{_varray('positions', frac)}\n</structure>"
    )


def _parameter(name: str, words: list[str]) -> str:
    """One tag in XML, typed as VASP does it."""
    values = [word.strip() for word in words]
    plural = name in {"MAGMOM", "LDAUU", "LDAUL", "LDAUJ"}
    kind = "v" if plural else "i"
    if not plural and values[0].strip(".").upper() in {"T", "F", "TRUE", "FALSE"}:
        return f'<i type="logical" name="{name}"> {values[0].strip(".")[0].upper()} </i>'
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return f'<i type="string" name="{name}"> {" ".join(values)}</i>'
    if name in {"LDAUL", *_INTEGERS}:
        text = " ".join(str(int(number)) for number in numbers)
        return f'<{kind} type="int" name="{name}"> {text} </{kind}>'
    return f'<{kind} name="{name}"> {_row(np.array(numbers))} </{kind}>'


_INTEGERS = {
    "ISPIN", "NSW", "IBRION", "ISIF", "NELM", "ISMEAR", "LORBIT", "LMAXMIX", "ICHARG", "NEDOS",
    "NBANDS", "ISYM", "LDAUTYPE", "LDAUPRINT", "NELMDL", "ISEARCH",
}  # fmt: skip


def _parameters(run: dict) -> str:
    """Everything that VASP used: its defaults under the tags of INCAR."""
    magmom = [f"{moment}" for moment in run["initial"]]
    defaults = {
        "SYSTEM": ["toy"], "PREC": ["accura"], "ENMAX": run["tags"].get("ENCUT", ["400"]),
        "EDIFF": ["1e-4"], "ISMEAR": ["1"], "SIGMA": ["0.2"], "ISPIN": ["1"], "NSW": ["0"],
        "IBRION": ["-1"], "ISIF": ["2"], "NELM": ["60"], "LORBIT": ["0"], "GGA": ["--"],
        "METAGGA": ["--"], "LDAU": ["F"], "LHFCALC": ["F"], "LASPH": ["F"], "ICHARG": ["2"],
        "NEDOS": ["301"], "ISYM": ["2"], "LNONCOLLINEAR": ["F"], "LSORBIT": ["F"],
        "LEPSILON": ["F"], "LUSE_VDW": ["F"], "IVDW": ["0"], "ALGO": ["Normal"],
    }  # fmt: skip
    used = {**defaults, **{k: v for k, v in run["tags"].items() if v}}
    used |= {"NBANDS": [str(run["nbands"])], "NELECT": [str(run["nelect"])], "MAGMOM": magmom}
    if run["nsw"] == 0:
        used["IBRION"] = ["-1"]
    return "\n".join(_parameter(name, words) for name, words in used.items())


def _kpoints(run: dict) -> str:
    mesh = run["kpoints"]["mesh"]
    generation = ""
    if mesh is not None:
        generation = (
            '<generation param="Gamma">\n<v type="int" name="divisions"> '
            + " ".join(map(str, mesh))
            + ' </v>\n<v name="usershift"> 0.0 0.0 0.0 </v>\n</generation>\n'
        )
    points = _varray("kpointlist", run["kpoints"]["points"])
    weights = _varray("weights", run["kpoints"]["weights"][:, None])
    return f"<kpoints>\n{generation}{points}\n{weights}\n</kpoints>"


def _atominfo(run: dict) -> str:
    kinds = run["kinds"]
    atoms = "".join(
        f"<rc><c>{symbol:2s}</c><c>{kinds.index(symbol) + 1:4d}</c></rc>\n"
        for symbol in run["symbols"]
    )
    types = "".join(
        f"<rc><c>{run['symbols'].count(kind):4d}</c><c>{kind:2s}</c><c> 50.0</c>"
        f"<c>{run['electrons'][kind]:8.3f}</c><c> {title} </c></rc>\n"
        for kind, title in zip(kinds, run["titles"], strict=True)
    )
    return (
        f"<atominfo>\n<atoms> {len(run['symbols'])} </atoms>\n<types> {len(kinds)} </types>\n"
        '<array name="atoms"><dimension dim="1">ion</dimension><field type="string">element'
        f'</field><field type="int">atomtype</field><set>\n{atoms}</set></array>\n'
        '<array name="atomtypes"><dimension dim="1">type</dimension><field type="int">'
        'atomspertype</field><field type="string">element</field><field>mass</field><field>'
        'valence</field><field type="string">pseudopotential</field><set>\n'
        f"{types}</set></array>\n</atominfo>"
    )


def _energy(value: float) -> str:
    names = ("e_fr_energy", "e_wo_entrp", "e_0_energy")
    return "<energy>" + "".join(f'<i name="{n}"> {value:.8f} </i>' for n in names) + "</energy>"


def _eigenvalues(run: dict) -> str:
    blocks = []
    for spin, channel in enumerate(run["energies"], start=1):
        sets = []
        for index, levels in enumerate(channel, start=1):
            filled = (levels <= run["fermi"]).astype(float)
            rows = "\n".join(
                f"<r> {e:.4f} {f:.4f} </r>" for e, f in zip(levels, filled, strict=True)
            )
            sets.append(f'<set comment="kpoint {index}">\n{rows}\n</set>')
        blocks.append(f'<set comment="spin {spin}">\n' + "\n".join(sets) + "\n</set>")
    return (
        '<eigenvalues><array><dimension dim="1">band</dimension><dimension dim="2">kpoint'
        '</dimension><dimension dim="3">spin</dimension><field>eigene</field><field>occ</field>'
        "<set>\n" + "\n".join(blocks) + "\n</set></array></eigenvalues>"
    )


def _columns(run: dict, ion: int, share: float) -> list[float]:
    """Weights of the nine orbitals on one ion of a state whose share of d states is given."""
    metals = sum(symbol != "O" for symbol in run["symbols"])
    oxygens = len(run["symbols"]) - metals
    if run["symbols"][ion] == "O":
        return [0.0, *[(1 - share) / max(oxygens, 1) / 3] * 3, *[0.0] * 5]
    return [0.0] * 4 + [share / metals / 5] * 5


def _projected(run: dict) -> str:
    natoms = len(run["symbols"])
    rows = {
        share: "\n".join(f"<r> {_row(_columns(run, ion, share), 4)} </r>" for ion in range(natoms))
        for share in (0.0, 1.0)
    }
    blocks = []
    for spin, channel in enumerate(run["shares"], start=1):
        sets = []
        for index, shares in enumerate(channel, start=1):
            bands = "\n".join(
                f'<set comment="band {n}">\n{rows[float(share)]}\n</set>'
                for n, share in enumerate(shares, start=1)
            )
            sets.append(f'<set comment="kpoint {index}">\n{bands}\n</set>')
        blocks.append(f'<set comment="spin{spin}">\n' + "\n".join(sets) + "\n</set>")
    fields = "".join(f"<field>{orbital}</field>" for orbital in ORBITALS)
    return (
        f'<projected>\n{_eigenvalues(run)}\n<array><dimension dim="1">ion</dimension>{fields}'
        "<set>\n" + "\n".join(blocks) + "\n</set></array></projected>"
    )


def _dos(run: dict) -> str:
    count = int(run["number"].get("NEDOS", 301))
    low, high = run["energies"].min() - 1, run["energies"].max() + 1
    grid = np.linspace(low, high, count)
    weights = run["kpoints"]["weights"] * (2 / run["ispin"])
    total, partial = [], {ion: [] for ion in range(len(run["symbols"]))}
    for spin in range(run["ispin"]):
        levels, shares = run["energies"][spin], run["shares"][spin]
        states, integral = toy_bands.density(grid, levels, weights)
        table = np.column_stack([grid, states, integral])
        rows = "\n".join(f"<r> {_row(row, 4)} </r>" for row in table)
        total.append(f'<set comment="spin {spin + 1}">\n{rows}\n</set>')
        character = {}
        for share in (0.0, 1.0):
            # levels of the other character are moved out of sight
            mine = np.where(shares == share, levels, low - 100)
            character[share], _ = toy_bands.density(grid, mine, weights)
        for ion, sets in partial.items():
            columns = sum(
                np.outer(character[share], _columns(run, ion, share)) for share in character
            )
            rows = "\n".join(f"<r> {_row(row, 4)} </r>" for row in np.column_stack([grid, columns]))
            sets.append(f'<set comment="spin {spin + 1}">\n{rows}\n</set>')
    fields = "".join(f"<field>{orbital:>5s}</field>" for orbital in ORBITALS)
    ions = "\n".join(
        f'<set comment="ion {ion + 1}">\n' + "\n".join(sets) + "\n</set>"
        for ion, sets in partial.items()
    )
    return (
        f'<dos>\n<i name="efermi"> {run["fermi"]:.8f} </i>\n<total><array><dimension dim="1">'
        "gridpoints</dimension><field>energy</field><field>total</field><field>integrated"
        "</field><set>\n" + "\n".join(total) + "\n</set></array></total>\n<partial><array>"
        f'<dimension dim="1">gridpoints</dimension><field>energy</field>{fields}<set>\n{ions}\n'
        "</set></array></partial>\n</dos>"
    )


def write_vasprun(run: dict) -> None:
    """vasprun.xml."""
    incar = "\n".join(_parameter(name, words) for name, words in run["tags"].items() if words)
    head = (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n<generator>\n'
        '<i name="program" type="string">vasp </i>\n<i name="version" type="string">6.4.2  </i>\n'
        "</generator>"
    )
    parts = [
        head,
        f"<incar>\n{incar}\n</incar>",
        _kpoints(run),
        f"<parameters>\n{_parameters(run)}\n</parameters>",
        _atominfo(run),
        _structure(*run["start"], name="initialpos"),
    ]
    last = len(run["frames"]) - 1
    for index, (lattice, frac, energy, forces, stress) in enumerate(run["frames"]):
        cycles = "\n".join(
            f"<scstep>{_energy(energy + _change(run, cycle))}</scstep>"
            for cycle in range(1, run["cycles"] + 1)
        )
        electrons = f"\n{_eigenvalues(run)}\n{_dos(run)}" if index == last else ""
        if index == last and run["number"].get("LORBIT", 0) >= 10:
            electrons += f"\n{_projected(run)}"
        parts.append(
            f"<calculation>\n{cycles}\n{_structure(lattice, frac)}\n{_varray('forces', forces)}\n"
            f"{_varray('stress', -KILOBAR * stress)}\n{_energy(energy)}{electrons}\n</calculation>"
        )
    parts += [_structure(*run["frames"][-1][:2], name="finalpos"), "</modeling>\n"]
    Path("vasprun.xml").write_text("\n".join(parts))
