"""Answers: stability documents, with what is known of each crystal beside.

That are the verdict of several energy models, the energy by a DFT code, the electrons and the
phonons.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from pydantic import BaseModel, ValidationError

from atomate2_vogen.errors import ArtefactError, InputError, reason
from atomate2_vogen.schemas import CalculationDoc, StabilityDoc, StabilityState
from atomate2_vogen.stores.documents import Doc, collection_of, moment, parse
from atomate2_vogen.stores.filters import Criteria, CrystalFilter
from atomate2_vogen.stores.names import unknown_name

if TYPE_CHECKING:
    from maggma.core import Store
    from pandas import DataFrame
    from pymatgen.core import Structure

    from atomate2_vogen.stores.document_stores import DocumentStores

logger = logging.getLogger(__name__)


class CrystalRow(BaseModel):
    """One crystal on one hull, with its verdict, electrons and phonons where they are known.

    Of several further documents of one kind about a crystal, the newest one that meets the
    conditions is shown; the schemes say whose it is.

    Examples
    --------
    >>> "energy_above_hull" in CrystalRow.model_fields
    True
    """

    stability_id: str
    candidate_id: str
    formula: str
    chemsys: str
    natoms: int
    scheme: str
    state: str
    energy_above_hull: float | None = None
    formation_energy_per_atom: float | None = None
    initial_energy_above_hull: float | None = None
    initial_formation_energy_per_atom: float | None = None
    rmsd_to_relaxed: float | None = None
    paper_class: str | None = None
    field_class: str | None = None
    bonding_dimensionality: int | None = None
    empty_gap: float | None = None
    is_bulk: bool | None = None
    space_group_symbol: str | None = None
    space_group_number: int | None = None
    is_unique: bool | None = None
    is_novel: bool | None = None
    known_as: str | None = None
    sampler: str
    model_id: str

    electronic_scheme: str | None = None
    character: str | None = None
    gap: float | None = None
    is_direct_gap: bool | None = None
    half_metallic_gap: float | None = None
    total_moment: float | None = None

    phonon_scheme: str | None = None
    phonon_verdict: str | None = None
    lowest_frequency: float | None = None

    verdict: str | None = None
    verdict_25mev: str | None = None
    largest_above_hull: float | None = None
    model_spread: float | None = None

    dft_scheme: str | None = None
    dft_above_known_phase: float | None = None


ROW_COLUMNS = tuple(CrystalRow.model_fields)

_ELECTRONS = {
    "electronic_scheme": "scheme",
    "character": "electrons.character",
    "gap": "electrons.gap",
    "is_direct_gap": "electrons.is_direct",
    "half_metallic_gap": "electrons.half_metallic_gap",
    "total_moment": "electrons.total_moment",
}
_PHONONS = {
    "phonon_scheme": "scheme",
    "phonon_verdict": "phonons.verdict",
    "lowest_frequency": "phonons.lowest_frequency",
}
_CONSENSUS = {
    "verdict": "verdict",
    "verdict_25mev": "verdict_25mev",
    "largest_above_hull": "largest_above_hull",
    "model_spread": "spread",
}
_DFT = {"dft_scheme": "scheme", "dft_above_known_phase": "above_known_phase"}
_FURTHER = {*_ELECTRONS, *_PHONONS, *_CONSENSUS, *_DFT}
_STABILITY = tuple(name for name in ROW_COLUMNS if name not in _FURTHER)
_ALWAYS = {name for name, field in CrystalRow.model_fields.items() if field.is_required()}
_WHERE_RANKED = {"energy_above_hull", "formation_energy_per_atom", "paper_class", "field_class"}

CHUNK = 1000
"""Candidates that are looked up at once."""


class CrystalRows(Sequence[CrystalRow]):
    """Rows of a query, in its order.

    Examples
    --------
    >>> from atomate2_vogen import VogenStores
    >>> with VogenStores.memory() as stores:
    ...     rows = stores.query(formula="VO2", max_hull=0.1)
    ...     len(rows), rows.to_frame().columns[0], list(rows.calculations())
    (0, 'stability_id', [])
    """

    def __init__(self, stores: DocumentStores, rows: list[CrystalRow]) -> None:
        self._stores = stores
        self._rows = rows

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> CrystalRow: ...

    @overload
    def __getitem__(self, index: slice) -> CrystalRows: ...

    def __getitem__(self, index: int | slice) -> CrystalRow | CrystalRows:
        """One row, or some."""
        if isinstance(index, slice):
            return CrystalRows(self._stores, self._rows[index])
        return self._rows[index]

    def __repr__(self) -> str:
        """Their number and place."""
        return f"<{len(self)} crystals from {self._stores.where}>"

    def to_frame(self) -> DataFrame:
        """A pandas frame, one column per field of `CrystalRow`."""
        import pandas as pd

        return pd.DataFrame([row.model_dump() for row in self._rows], columns=list(ROW_COLUMNS))

    def to_csv(self) -> str:
        """The same as text with a line of names."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(ROW_COLUMNS)
        for row in self._rows:
            content = row.model_dump()
            writer.writerow(
                ["" if content[name] is None else content[name] for name in ROW_COLUMNS]
            )
        return text.getvalue()

    def best(self, formula: str | None = None) -> StabilityDoc:
        """The crystal that lies lowest above the hull, with its relaxed structure.

        Parameters
        ----------
        formula
            Reduced formula; None for any.

        Raises
        ------
        InputError
            If no row of that formula is ranked, or its document is gone.
        """
        ranked = [
            (row.energy_above_hull, row.stability_id, number)
            for number, row in enumerate(self._rows)
            if row.energy_above_hull is not None
            and row.state == StabilityState.RANKED.value
            and formula in {None, row.formula}
        ]
        wanted = "crystal" if formula is None else formula
        if not ranked:
            raise InputError(f"none of these {len(self)} rows is a ranked {wanted}")
        number = min(ranked)[-1]
        found = next(self[number : number + 1].documents(), None)
        if found is None:
            raise InputError(f"the document of {self[number].candidate_id} is not in the store")
        return found

    def _repr_html_(self) -> str:
        """Table for a notebook, the first rows with a picture of the crystal."""
        from atomate2_vogen.stores.notebook import PICTURES, SHOWN, rows_as_html

        return rows_as_html(self[:SHOWN], self[:PICTURES].structures(), len(self))

    def documents(self) -> Iterator[StabilityDoc]:
        """Whole stability documents, in the order of the rows.

        Those that are damaged or gone are left out with a warning.
        """
        return self._parsed(StabilityDoc)

    def calculations(self) -> Iterator[CalculationDoc]:
        """Calculations of the crystals, in the order of the rows.

        Their method `task` reads the task documents that atomate2 made. Those that are damaged or
        gone are left out with a warning.
        """
        return self._parsed(CalculationDoc)

    def _parsed(self, document_class: type[Doc]) -> Iterator[Doc]:
        """Documents of a class that has the stability id as its key."""
        collection, key = collection_of(document_class)
        store = getattr(self._stores, collection)
        for first in range(0, len(self), CHUNK):
            names = [row.stability_id for row in self._rows[first : first + CHUNK]]
            held = {c[key]: c for c in self._stores.read(store, {key: {"$in": names}})}
            for name in names:
                try:
                    yield parse(document_class, held[name])
                except (KeyError, ArtefactError) as error:
                    logger.warning("%r in %s is left out: %s", name, collection, _first_line(error))

    def structures(self) -> dict[str, Structure]:
        """Relaxed structures by stability id; those without one are left out."""
        return {d.stability_id: d.structure for d in self.documents() if d.structure is not None}


def find(
    stores: DocumentStores,
    conditions: CrystalFilter,
    sort: str = "energy_above_hull",
    limit: int = 0,
) -> CrystalRows:
    """Rows that meet all conditions; see `VogenStores.query`.

    Crystals with electrons, phonons or a verdict are few, for they cost most: conditions on these
    are looked up first, and give the candidates to look for among the many.
    """
    name, direction = sort.removeprefix("-"), -1 if sort.startswith("-") else 1
    if name not in ROW_COLUMNS:
        raise InputError(unknown_name("column to sort by", name, ROW_COLUMNS))
    if limit < 0:
        raise InputError(f"limit is {limit}; 0 is for all")
    criteria = conditions.stability()
    electrons = _matching(stores, stores.electronic, conditions.electronic(), _ELECTRONS, None)
    phonons = _matching(stores, stores.phonons, conditions.phononic(), _PHONONS, electrons)
    verdicts = _matching(stores, stores.consensus, conditions.consensual(), _CONSENSUS, phonons)
    for found in (electrons, phonons, verdicts):
        if found is not None:
            criteria = _within(criteria, found)
    in_store = name in _STABILITY
    rows = _stability(stores, criteria, name if in_store else None, direction, limit)
    completed = {"state": "completed"}
    _join(stores, rows, electrons, stores.electronic, _ELECTRONS, usable=completed)
    _join(stores, rows, phonons, stores.phonons, _PHONONS, usable=completed)
    _join(stores, rows, verdicts, stores.consensus, _CONSENSUS, usable={})
    _join(stores, rows, None, stores.dft, _DFT, usable=completed)
    made = list(_valid(rows))
    if not in_store:
        _sort(made, name, direction)
        made = made[:limit] if limit else made
    return CrystalRows(stores, made)


def _within(criteria: Criteria, found: Iterable[str]) -> Criteria:
    """Criteria with the candidates narrowed to those found."""
    if "candidate_id" not in criteria:
        return criteria | {"candidate_id": {"$in": sorted(found)}}
    asked = criteria["candidate_id"]
    listed = asked["$in"] if isinstance(asked, Mapping) else [asked]
    held = {*found}
    return criteria | {"candidate_id": {"$in": [key for key in listed if key in held]}}


def _stability(
    stores: DocumentStores, criteria: Criteria, sort: str | None, direction: int, limit: int
) -> list[dict[str, Any]]:
    """Documents in order, those without a value of the field last."""

    def read(more: Criteria, at_most: int) -> list[dict[str, Any]]:
        order = {} if sort is None else dict.fromkeys((sort, "stability_id"), direction)
        return list(
            stores.read(
                stores.stability,
                criteria | more,
                properties=[*_STABILITY],
                sort=order or None,
                limit=at_most,
            )
        )

    if sort is None:
        return read({}, 0)
    if sort in criteria or sort in _ALWAYS or (sort in _WHERE_RANKED and _only_ranked(criteria)):
        return read({}, limit)
    rows = read({sort: {"$ne": None}}, limit)
    if not limit or len(rows) < limit:
        rows += read({sort: None}, limit and limit - len(rows))
    return rows


def _only_ranked(criteria: Criteria) -> bool:
    return criteria.get("state") == StabilityState.RANKED.value


def _matching(
    stores: DocumentStores,
    store: Store,
    criteria: Criteria | None,
    fields: Mapping[str, str],
    among: Mapping[str, Any] | None,
) -> dict[str, dict[str, Any]] | None:
    """Newest document that meets the criteria, by candidate; None without criteria."""
    if criteria is None:
        return None
    if among is not None:
        criteria = _within(criteria, among)
    return _newest(stores, store, criteria, fields)


def _newest(
    stores: DocumentStores, store: Store, criteria: Criteria, fields: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    properties = ["candidate_id", "last_updated", store.key, *fields.values()]
    found = list(stores.read(store, criteria, properties=properties))
    found.sort(key=lambda content: (moment(content), str(content.get(store.key))))
    return {c["candidate_id"]: c for c in found if isinstance(c.get("candidate_id"), str)}


def _join(
    stores: DocumentStores,
    rows: Sequence[dict[str, Any]],
    found: Mapping[str, dict[str, Any]] | None,
    store: Store,
    fields: Mapping[str, str],
    *,
    usable: Criteria,
) -> None:
    """Put the fields of each row's document into the row."""
    if found is None:
        found = {}
        keys = sorted(
            {row["candidate_id"] for row in rows if isinstance(row.get("candidate_id"), str)}
        )
        for first in range(0, len(keys), CHUNK):
            criteria = usable | {"candidate_id": {"$in": keys[first : first + CHUNK]}}
            found |= _newest(stores, store, criteria, fields)
    for row in rows:
        document = found.get(row.get("candidate_id", ""))
        if document is not None:
            row |= {name: _get(document, path) for name, path in fields.items()}


def _get(content: Any, path: str) -> Any:
    for step in path.split("."):
        content = content.get(step) if isinstance(content, Mapping) else None
    return content


def _valid(rows: Iterable[dict[str, Any]]) -> Iterator[CrystalRow]:
    """Rows that fit; the others are named."""
    for row in rows:
        try:
            yield CrystalRow.model_validate(row)
        except ValidationError as error:
            wrong = ", ".join(sorted({str(found["loc"][0]) for found in error.errors()}))
            logger.warning(
                "%r in stability is left out: damaged %s", row.get("stability_id"), wrong
            )


def _sort(rows: list[CrystalRow], name: str, direction: int) -> None:
    """In place, rows without a value last."""
    known = [row for row in rows if getattr(row, name) is not None]
    rest = [row for row in rows if getattr(row, name) is None]
    known.sort(key=lambda row: (getattr(row, name), row.stability_id), reverse=direction < 0)
    rows[:] = [*known, *rest]


def _first_line(error: Exception) -> str:
    return reason(error).splitlines()[0]
