"""Raw rows of a run: one file of rows and one of crystals for each round.

A run is one arm with one seed, in its own folder::

    run.json                  what was asked for, versions, CPU seconds of loading
    0001.jsonl                first line: the round; then one line for each crystal
    0001.crystals.jsonl.gz    each crystal as generated and as relaxed

and, where the sampler learns a potential between the rounds::

    0001.frames.npz           energies, forces and stresses that the relaxations left
    0002.potential.npz        what was fitted before this round

Files are replaced as a whole, the rows last: if the process is killed at any point, a row that can be
read has its crystal, its frames and its potential, and what has no row is done again.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Structure

from atomate2_vogen.errors import ArtefactError, InputError
from atomate2_vogen.files import write_atomically
from atomate2_vogen.potential.frames import Frames
from atomate2_vogen.schemas import CandidateDoc

FORMAT = 1
RUN = "run.json"
RELAXED_DECIMALS = 8
"""Of relaxed lattices in Å and of fractional coordinates; comparisons are made after rounding."""


@dataclass
class RoundRow:
    """One call of a sampler; seconds are CPU seconds of the process and its children.

    Parameters
    ----------
    round, seed
        Number of the round, from 1, and the sampler's seed.
    requested, attempts, rejected
        Crystals asked for, attempts, and rejections by reason, all by formula.
    delivered
        Number of candidates.
    sampling_seconds
        Generation, without what follows.
    single_point_seconds
        Single-point energies by which the lowest were chosen.
    matching_seconds
        Comparison with known crystals and earlier finds.
    training_seconds
        Learning before this round: a potential that is fitted again, parents that are chosen.
    learnt
        What was learnt then, as in `Learning`; None if the sampler goes on as it was.
    """

    round: int
    seed: int
    requested: dict[str, int]
    attempts: dict[str, int]
    rejected: dict[str, dict[str, int]]
    delivered: int
    sampling_seconds: float
    single_point_seconds: float
    matching_seconds: float
    training_seconds: float = 0.0
    learnt: dict[str, Any] | None = None

    @property
    def cpu_seconds(self) -> float:
        """All of the round but what its crystals take."""
        return (
            self.sampling_seconds
            + self.single_point_seconds
            + self.matching_seconds
            + self.training_seconds
        )


@dataclass
class Outcome:
    """A crystal after its relaxation, or after its refinement.

    Parameters
    ----------
    state, reason
        As of `StabilityDoc`: ``ranked`` is converged, bulk and not collapsed.
    above_hull
        Energy above the hull of the reference phases in eV/atom.
    space_group
        International number at 0.1 Å.
    rmsd
        Move of the atoms since they were generated in Å; None if it no longer matches.
    is_bulk, is_novel, known_as
        As of `StabilityDoc`.
    """

    state: str
    reason: str | None
    above_hull: float | None
    space_group: int | None
    rmsd: float | None
    is_bulk: bool | None
    is_novel: bool | None
    known_as: str | None


@dataclass
class CrystalRow:
    """One crystal of a round.

    Parameters
    ----------
    candidate_id, formula, n_atoms
        Of the candidate.
    space_group_exact, space_group
        International number as generated at 0.01 and at 0.1 Å.
    above_hull
        As generated, eV/atom.
    n_steps
        Ionic steps of the relaxation.
    relaxation_seconds, refinement_seconds
        CPU seconds in the energy model, as the engine reports them.
    cpu_seconds
        CPU seconds of all that the crystal took: calculations, jobs and judging.
    relaxed, refined
        Outcomes; `refined` is None where nothing was refined.
    replay_of
        Candidate id of the first ranked crystal of the run that it matches as relaxed, if any came
        before.
    final_replay_of
        The same of last outcomes, where a refined crystal may match as refined or as relaxed.
    """

    candidate_id: str
    formula: str
    n_atoms: int
    space_group_exact: int | None
    space_group: int | None
    above_hull: float | None
    n_steps: int | None
    relaxation_seconds: float | None
    refinement_seconds: float | None
    cpu_seconds: float
    relaxed: Outcome
    refined: Outcome | None = None
    replay_of: str | None = None
    final_replay_of: str | None = None

    @property
    def final(self) -> Outcome:
        """The last outcome that there is."""
        return self.refined or self.relaxed

    @classmethod
    def read(cls, content: dict[str, Any]) -> CrystalRow:
        """Row of a line."""
        outcomes = {
            name: content[name] and Outcome(**content[name]) for name in ("relaxed", "refined")
        }
        return cls(**content | outcomes)


@dataclass
class Round:
    """A round: its row, the candidates in the order of calculation, rows of those calculated.

    `relaxed` and `refined` hold the crystals afterwards, by candidate id, where there are any.
    `frames` are those of the calculations, None where none are kept.
    """

    row: RoundRow
    candidates: list[CandidateDoc] = field(default_factory=list)
    crystals: list[CrystalRow] = field(default_factory=list)
    relaxed: dict[str, Structure] = field(default_factory=dict)
    refined: dict[str, Structure] = field(default_factory=dict)
    frames: Frames | None = None

    @property
    def is_finished(self) -> bool:
        """Whether every candidate has its row."""
        return len(self.crystals) == self.row.delivered


def write_round(folder: Path, content: Round) -> None:
    """Replace the files of a round."""
    lines = [_crystal_line(content, candidate) for candidate in content.candidates]
    write_atomically(
        folder / f"{content.row.round:04d}.crystals.jsonl.gz",
        gzip.compress("".join(lines).encode(), 6, mtime=0),
    )
    if content.frames is not None:
        write_atomically(_frames_file(folder, content.row.round), content.frames.to_bytes())
    rows = [content.row, *content.crystals]
    write_atomically(
        folder / f"{content.row.round:04d}.jsonl", "".join(_line(asdict(row)) for row in rows)
    )


def read_rounds(folder: Path, *, structures: bool = True) -> list[Round]:
    """Rounds of a run in order.

    Parameters
    ----------
    folder
        Of the run.
    structures
        Whether candidates and crystals are read too; rows alone are quicker.

    Raises
    ------
    ArtefactError
        If a file is damaged or missing.
    """
    found = []
    for number, path in enumerate(sorted(folder.glob("[0-9][0-9][0-9][0-9].jsonl")), start=1):
        try:
            first, *others = map(json.loads, path.read_text(encoding="utf-8").splitlines())
            content = Round(RoundRow(**first), crystals=[CrystalRow.read(row) for row in others])
            if content.row.round != number:
                raise ValueError(f"round {content.row.round} where {number} was expected")  # noqa: TRY301
            if structures:
                _read_crystals(folder / f"{number:04d}.crystals.jsonl.gz", content)
                if _frames_file(folder, number).is_file():
                    content.frames = read_frames(folder, number, content.crystals)
        except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
            raise ArtefactError(
                f"{path}: cannot be read ({error}); delete the files of this round and of later "
                "ones to do them again"
            ) from error
        found.append(content)
    return found


def read_frames(folder: Path, number: int, rows: Sequence[CrystalRow]) -> Frames:
    """Frames of the crystals of a round that have rows.

    Raises
    ------
    ArtefactError
        If the file is damaged or missing.
    """
    done = {row.candidate_id for row in rows}
    found = Frames.load(_frames_file(folder, number))
    kept = [one for one in found.frames if one.source.partition(",")[0] in done]
    return Frames(found.scheme, kept)


def _frames_file(folder: Path, number: int) -> Path:
    return folder / f"{number:04d}.frames.npz"


def potential_file(folder: Path, number: int) -> Path:
    """Potential that was fitted before a round."""
    return folder / f"{number:04d}.potential.npz"


def write_potential(folder: Path, number: int, content: bytes) -> None:
    """Replace that file."""
    write_atomically(potential_file(folder, number), content)


@dataclass
class Header:
    """Content of ``run.json``.

    Parameters
    ----------
    identity
        What must not change when a run goes on.
    versions
        Packages at the last start.
    loading_seconds
        CPU seconds before the first round of each start: imports, weights, pools of known
        crystals. Not part of any row.
    training_seconds
        Of the shipped networks, on one core.
    """

    identity: dict[str, Any]
    versions: dict[str, str]
    loading_seconds: list[float] = field(default_factory=list)
    training_seconds: float = 0.0


def write_header(folder: Path, header: Header) -> None:
    """Replace ``run.json``."""
    text = json.dumps({"format": FORMAT, **asdict(header)}, indent=1, ensure_ascii=False)
    write_atomically(folder / RUN, text + "\n")


def read_header(folder: Path) -> Header:
    """Content of ``run.json``.

    Raises
    ------
    ArtefactError
        If it is damaged or missing.
    """
    try:
        content = json.loads((folder / RUN).read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError("of another format")  # noqa: TRY301
        return Header(**content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtefactError(f"{folder / RUN}: cannot be read ({error})") from error


def check_identity(folder: Path, identity: dict[str, Any]) -> Header | None:
    """Header of an earlier start into this folder, if any.

    Raises
    ------
    InputError
        If that was asked for something else.
    """
    if not (folder / RUN).is_file():
        return None
    header = read_header(folder)
    plain = json.loads(json.dumps(identity))
    for name in sorted({*plain, *header.identity}):
        before, now = header.identity.get(name), plain.get(name)
        if before != now:
            raise InputError(
                f"{folder}: was begun with {name} = {before!r}, not {now!r}; give another --out"
            )
    return header


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder while the block runs.

    Raises
    ------
    InputError
        If another process is at work there.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"{folder}: another process is at work there") from error
        yield


def run_folders(folder: Path) -> list[Path]:
    """Folders of all runs below one, in order.

    Raises
    ------
    InputError
        If there is none.
    """
    found = sorted(
        (path.parent for path in folder.glob(f"*/seed-*/{RUN}")),
        key=lambda path: (path.parent.name, int(path.name.removeprefix("seed-"))),
    )
    if not found:
        raise InputError(f"{folder}: no runs lie there; make some with run.py --out {folder}")
    return found


def rounded(structure: Structure) -> Structure:
    """The crystal as it is read back."""
    return _structure(_content(structure, RELAXED_DECIMALS))


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False) + "\n"


def _crystal_line(content: Round, candidate: CandidateDoc) -> str:
    relaxed, refined = (
        None if structure is None else _content(structure, RELAXED_DECIMALS)
        for structure in (
            content.relaxed.get(candidate.candidate_id),
            content.refined.get(candidate.candidate_id),
        )
    )
    # the candidate with all digits: a relaxation that is done again is the same
    return _line(
        candidate.model_dump(
            mode="json",
            include={
                *("candidate_id", "sampler", "model_id", "formula", "seed", "index", "details"),
            },
        )
        | {
            "generated": _content(candidate.structure, None),
            "relaxed": relaxed,
            "refined": refined,
        }
    )


def _read_crystals(path: Path, content: Round) -> None:
    done = {row.candidate_id for row in content.crystals}
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        entry = json.loads(line)
        after = {"relaxed": entry.pop("relaxed"), "refined": entry.pop("refined")}
        candidate = CandidateDoc(structure=_structure(entry.pop("generated")), **entry)
        content.candidates.append(candidate)
        for name, crystals in (("relaxed", content.relaxed), ("refined", content.refined)):
            if after[name] is not None and candidate.candidate_id in done:
                crystals[candidate.candidate_id] = _structure(after[name])
    if len(content.candidates) != content.row.delivered:
        raise ValueError(f"{len(content.candidates)} crystals, not {content.row.delivered}")


def _content(structure: Structure, decimals: int | None) -> dict[str, Any]:
    lattice, coords = structure.lattice.matrix, structure.frac_coords
    if decimals is not None:
        lattice, coords = np.round(lattice, decimals) + 0.0, np.round(coords, decimals) + 0.0
    return {
        "lattice": np.asarray(lattice).tolist(),
        "species": [site.species_string for site in structure],
        "coords": np.asarray(coords).tolist(),
    }


def _structure(content: dict[str, Any]) -> Structure:
    return Structure(np.array(content["lattice"]), content["species"], np.array(content["coords"]))


def total_seconds(rounds: Sequence[Round]) -> float:
    """CPU seconds of all that is in the rows."""
    return sum(
        one.row.cpu_seconds + sum(crystal.cpu_seconds for crystal in one.crystals) for one in rounds
    )
