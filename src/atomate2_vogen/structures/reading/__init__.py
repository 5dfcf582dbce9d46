"""Crystals from files: CIF, POSCAR and pymatgen's JSON, none of which is trusted."""
