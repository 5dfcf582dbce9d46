"""Entrances that take files: structures, energies, addresses of stores, LaunchPads."""

from __future__ import annotations

import random
from pathlib import Path

from attack import SECRET, Attack, Place, vogen
from entrances_text import address
from mutations import TEXTS, mutate_text, structured_file

CIF = """data_VO2
_symmetry_space_group_name_H-M   'P 42/m n m'
_symmetry_Int_Tables_number   136
_cell_length_a   4.55
_cell_length_b   4.55
_cell_length_c   2.85
_cell_angle_alpha   90
_cell_angle_beta   90
_cell_angle_gamma   90
_chemical_formula_sum   'V2 O4'
_cell_formula_units_Z   2
loop_
 _symmetry_equiv_pos_site_id
 _symmetry_equiv_pos_as_xyz
  1  'x, y, z'
  2  '-x, -y, z'
  3  '-y+1/2, x+1/2, z+1/2'
  4  'y+1/2, -x+1/2, z+1/2'
loop_
 _atom_site_type_symbol
 _atom_site_label
 _atom_site_fract_x
 _atom_site_fract_y
 _atom_site_fract_z
 _atom_site_occupancy
  V  V0  0.0  0.0  0.0  1
  O  O1  0.3  0.3  0.0  1
"""
POSCAR = """V2 O4
1.0
4.55 0.0 0.0
0.0 4.55 0.0
0.0 0.0 2.85
V O
2 4
direct
0.0 0.0 0.0 V
0.5 0.5 0.5 V
0.3 0.3 0.0 O
0.7 0.7 0.0 O
0.2 0.8 0.5 O
0.8 0.2 0.5 O
"""
NAMES = ("a.cif", "POSCAR", "CONTCAR", "a.vasp", "a.json", "A.CIF", "a.poscar", "a.txt", "a")


class Structures:
    """Structure files, alone and in folders."""

    name, share = "structures", 800

    def prepare(self, root: Path) -> None:
        """A crystal as pymatgen writes it."""
        from pymatgen.core import Lattice, Structure

        coords = [[0, 0, 0], [0.3, 0.3, 0]]
        self.crystal = Structure.from_spacegroup(
            "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], coords
        ).as_dict()

    def attack(self, rng: random.Random, place: Place) -> Attack:
        kind = rng.randrange(3)
        if kind == 0:
            name, content = rng.choice(("a.cif", "b.CIF")), mutate_text(rng, CIF)
        elif kind == 1:
            name, content = rng.choice(("POSCAR", "a.vasp", "CONTCAR-1")), mutate_text(rng, POSCAR)
        else:
            name, content = "a.json", structured_file(rng, self.crystal)
        if rng.random() < 0.05:
            name = rng.choice(NAMES)
        if rng.random() < 0.1:
            name += rng.choice((".gz", ".bz2", ".xz"))
        path = place.write(name, content)
        if rng.random() < 0.1:
            path = rng.choice(
                (place.inputs, place.outside / "link", Path("nul\0nul"), Path("~nobody"))
            )
        return Attack(f"{name} {content[:200]!r}", lambda: self._read(path))

    @staticmethod
    def _read(path: Path) -> None:
        from atomate2_vogen.structures.reading.structures import read_structures

        good, bad = read_structures([path])
        for entry in bad:
            print(entry.path, entry.error)  # noqa: T201 - it is searched for secrets
        for entry in good:
            if entry.structure.volume <= 0:
                raise AssertionError("a crystal without volume")


class Energies:
    """The table of energies, and crystals with it."""

    name, share = "energies", 200

    def prepare(self, root: Path) -> None:
        """Three crystals."""
        self.folder = root / "labelled"
        self.folder.mkdir()
        rocksalt = "VO\n1.0\n0 2 2\n2 0 2\n2 2 0\nV O\n1 1\ndirect\n0 0 0\n0.5 0.5 0.5\n"
        fluorite = "VO2\n1.0\n0 2.6 2.6\n2.6 0 2.6\n2.6 2.6 0\nV O\n1 2\ndirect\n0 0 0\n"
        fluorite += "0.25 0.25 0.25\n0.75 0.75 0.75\n"
        for number, text in enumerate((POSCAR, rocksalt, fluorite)):
            (self.folder / f"{number}.vasp").write_text(text)

    def attack(self, rng: random.Random, place: Place) -> Attack:
        rows = "".join(f"{number}.vasp,{-7.5 - number}\n" for number in range(3))
        content = mutate_text(rng, f"file,energy_per_atom\n{rows}")
        if rng.random() < 0.1:
            content = rng.choice(
                (b"file,energy_per_atom\n" + b"x" * 200_000 + b",1\n", content * 3000, b'"' * 9999)
            )
        path = place.write("energies.csv", content)
        if rng.random() < 0.05:
            path = rng.choice((place.inputs, Path("nul\0nul"), place.inputs / "missing.csv"))
        return Attack(repr(content[:200]), lambda: self._read(path))

    def _read(self, path: Path) -> None:
        from atomate2_vogen.data.energies import read_energies
        from atomate2_vogen.data.own import crystals_from_files

        crystals_from_files([self.folder], read_energies(path))


class StoreFiles:
    """YAML files and addresses of stores."""

    name, share = "store files and addresses", 650
    good = (
        {"uri": f"mongodb://user:{SECRET}@127.0.0.1:1/vogen", "collection_prefix": "a_"},
        {"host": "127.0.0.1", "port": 1, "username": "user", "password": SECRET,
         "database": "vogen", "auth_source": "admin"},
        {"host": "127.0.0.1", "port": 1, "username": "user", "password_env": "HOME",
         "database": "vogen"},
    )  # fmt: skip

    def prepare(self, root: Path) -> None:
        """No patience with servers that are not there."""
        from atomate2_vogen.stores import mongo

        mongo.OPEN_SECONDS = 0.02

    def attack(self, rng: random.Random, place: Place) -> Attack:
        kind = rng.random()
        if kind < 0.35:
            where = address(rng)
            note = where
        elif kind < 0.45:
            where = note = rng.choice((*TEXTS, str(place.outside / "canary"), str(place.inputs)))
        else:
            fields = dict(rng.choice(self.good))
            if rng.random() < 0.4:
                fields["host" if "host" in fields else "uri"] = address(rng)
            content = structured_file(rng, fields)
            where = str(place.write("store" + rng.choice((".yaml", ".yml")), content))
            note = repr(content[:200])
        command = rng.choice((("query", "--limit", "1", "--"), ("build", "--store")))
        return Attack(note[:300], lambda: vogen(*command, where))


class LaunchPads:
    """FireWorks' files."""

    name, share = "LaunchPad files", 500
    good = (
        {"host": "127.0.0.1", "port": 1, "name": "fireworks", "username": "user",
         "password": SECRET, "logdir": None, "strm_lvl": "WARNING", "user_indices": [],
         "wf_user_indices": [], "ssl": False, "ssl_ca_certs": None, "authsource": None,
         "uri_mode": False, "mongoclient_kwargs": {"tlsCertificateKeyFilePassword": SECRET}},
        {"host": f"mongodb://user:{SECRET}@127.0.0.1:1/fireworks", "uri_mode": True,
         "name": "fireworks", "mongoclient_kwargs": {"serverSelectionTimeoutMS": 20}},
    )  # fmt: skip

    def prepare(self, root: Path) -> None:
        """No patience with servers that are not there."""
        from atomate2_vogen.flows import launchpads

        launchpads.OPEN_MS = 20

    def attack(self, rng: random.Random, place: Place) -> Attack:
        fields = dict(rng.choice(self.good))
        if rng.random() < 0.5:
            fields["host"] = address(rng)
            fields["uri_mode"] = rng.choice((True, True, False, "yes"))
        if rng.random() < 0.2:
            place_of_secret = rng.choice(("ssl_ca_certs", "name", "logdir", "strm_lvl", "port"))
            fields[place_of_secret] = f"mongodb://u:{SECRET}@h"
        content = structured_file(rng, fields, str(place.outside / "escaped"))
        path = place.write("my_launchpad" + rng.choice((".yaml", ".json", ".yml", "")), content)
        if rng.random() < 0.03:
            path = rng.choice((place.inputs, Path("nul\0nul"), Path("~nobody/x")))
        return Attack(repr(content[:300]), lambda: vogen("recover", "--dry-run", "-l", path))
