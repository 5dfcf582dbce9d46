"""Known crystals of a system from the Materials Project, by pymatgen's client.

The client that comes with pymatgen needs nothing that is not installed already; the package mp-api
would bring a dozen more.
"""

from __future__ import annotations

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import DatabaseError, InputError
from atomate2_vogen.schemas import KnownDoc

KEY_LENGTH = 32
SUMMARY_FIELDS = ["material_id", "structure", "energy_above_hull"]


def download_known(
    system: OxideSystem = VANADIUM, *, max_hull: float | None = None, api_key: str | None = None
) -> list[KnownDoc]:
    """Crystals of the Materials Project with both elements of a system, by material id.

    Parameters
    ----------
    system
        Oxide system.
    max_hull
        Largest energy above the Materials Project's hull, eV/atom; None takes all.
    api_key
        Key for its API; by default the setting ``PMG_MAPI_KEY`` of pymatgen, which an environment
        variable of this name gives too.

    Raises
    ------
    InputError
        If there is no key, or the number is none.
    DatabaseError
        If the Materials Project refuses the key, cannot be reached, or answers in another form.
    """
    import requests
    from pymatgen.core import SETTINGS
    from pymatgen.ext.matproj import MPRester, MPRestError

    key = api_key or str(SETTINGS.get("PMG_MAPI_KEY", ""))
    if len(key) != KEY_LENGTH:
        raise InputError(
            "the Materials Project needs a key of 32 characters, from "
            "https://materialsproject.org/dashboard: set the environment variable PMG_MAPI_KEY, "
            "or PMG_MAPI_KEY in ~/.config/.pmgrc.yaml"
        )
    if max_hull is not None and not max_hull >= 0:
        raise InputError(f"the largest energy above hull is {max_hull}; give a number from 0 on")
    try:
        with MPRester(key) as rester:
            answers = rester.summary_search(chemsys=system.chemsys, _fields=SUMMARY_FIELDS)
    except (MPRestError, requests.RequestException) as error:
        text = " ".join(str(error).replace(key, "(key)").split())[:200]
        raise DatabaseError(f"the Materials Project gave no answer: {text}") from None
    found = []
    for answer in answers:
        try:
            height, name = answer["energy_above_hull"], str(answer["material_id"])
            if max_hull is None or (height is not None and height <= max_hull):
                found.append(KnownDoc.make(answer["structure"], name))
        except (KeyError, TypeError, AttributeError) as error:
            raise DatabaseError(
                f"an answer of the Materials Project has another form than expected: {error!r}"
            ) from error
    return sorted(found, key=lambda one: one.name)
