"""The samplers that are measured: names and options, from a table in a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomate2_vogen.errors import InputError
from atomate2_vogen.files import check_name
from atomate2_vogen.structured import read_structured

if TYPE_CHECKING:
    from atomate2_vogen.jobs.learning import LearnMaker

TABLE = Path(__file__).with_name("arms.json")


@dataclass(frozen=True)
class Arm:
    """One sampler with its options.

    Parameters
    ----------
    name
        Name in tables, figures and folders.
    options
        Arguments of `atomate2_vogen.load_sampler`; ``sampler`` is its first one.
    refuse_known
        Whether crystals that resemble a known one are refused as generated. Not for a sampler
        that makes known crystals only and would deliver nothing.
    novelty_margin
        Factor on the tolerances at which they are refused.
    learns
        Settings by which the sampler learns between the rounds, as in a closed loop: arguments of
        its Maker in `LEARNING_BY_SAMPLER`. None for a sampler that stays as it is.
    about
        One line for people.
    """

    name: str
    options: dict[str, Any]
    refuse_known: bool = True
    novelty_margin: float = 2.0
    learns: dict[str, Any] | None = None
    about: str = ""

    @property
    def sampler(self) -> str:
        """Name of the sampler."""
        return str(self.options["sampler"])

    def check(self) -> None:
        """Refuse a sampler that this version lacks, without loading it.

        Raises
        ------
        InputError
            If it lacks it, or the sampler cannot learn what it is to.
        """
        from atomate2_vogen.samplers import SAMPLERS

        if self.sampler not in SAMPLERS:
            raise InputError(
                f"arm {self.name}: there is no sampler {self.sampler!r} in this version; it has "
                f"{', '.join(SAMPLERS)}"
            )
        self.learn_maker()

    def learn_maker(self) -> LearnMaker | None:
        """Maker by which the sampler learns; None if it stays as it is.

        Raises
        ------
        InputError
            If the sampler cannot learn, or a setting is unknown or out of range.
        """
        if self.learns is None:
            return None
        from atomate2_vogen.jobs.learning import LEARNING_BY_SAMPLER

        if self.sampler not in LEARNING_BY_SAMPLER:
            raise InputError(
                f"arm {self.name}: the sampler {self.sampler} learns nothing; leave `learns` out, "
                f"or take one of {', '.join(LEARNING_BY_SAMPLER)}"
            )
        try:
            return LEARNING_BY_SAMPLER[self.sampler](**self.learns)
        except TypeError as error:
            raise InputError(f"arm {self.name}: learns: {error}") from error

    def load(self, **learnt: Any) -> Any:
        """The sampler, ready to use.

        Parameters
        ----------
        learnt
            Arguments in the place of the options: what was learnt between rounds.

        Raises
        ------
        InputError, MissingModelError
            As `load_sampler`.
        """
        from atomate2_vogen.samplers import load_sampler

        others = {name: value for name, value in self.options.items() if name != "sampler"}
        return load_sampler(self.sampler, **others | learnt)

    def training_seconds(self) -> float:
        """Seconds on one core that the shipped networks of this arm were trained for, if any.

        The wall time of the training, which ran on one core; its data set is not included.

        Raises
        ------
        InputError
            If the arm names a file of networks, whose training time is not recorded.
        """
        from atomate2_vogen.chemistry import VANADIUM
        from atomate2_vogen.models.shipped import require_shipped
        from atomate2_vogen.samplers import SAMPLERS

        entry = SAMPLERS.get(self.sampler)
        if entry is None or not entry.has_networks:
            return 0.0
        if "model" in self.options:
            raise InputError(
                f"arm {self.name}: the training time of the model {self.options['model']} is not "
                "known; measure shipped networks"
            )
        path = require_shipped(self.options.get("preset", "paper"), VANADIUM)
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return float(record["wall_time"])


def read_arms(names: Sequence[str], table: Path = TABLE) -> list[Arm]:
    """Arms by name.

    Parameters
    ----------
    names
        Names in the table, each once.
    table
        JSON file: by name the fields of `Arm`.

    Raises
    ------
    InputError
        If the file is no such table, or a name is unknown or comes twice.
    """
    content = read_structured(table, InputError)
    if not isinstance(content, dict):
        raise InputError(f"{table}: no table of arms; it must map names to options")
    if len(set(names)) < len(names):
        raise InputError(f"arms {', '.join(names)}: one comes twice; give each once")
    arms = []
    for name in names:
        if name not in content:
            raise InputError(
                f"arm {name!r} is not in {table.name}; take one of {', '.join(content)}"
            )
        try:
            arm = Arm(check_name(name), **content[name])
        except TypeError as error:
            raise InputError(f"{table}: arm {name}: {error}") from error
        if not isinstance(arm.options, dict) or "sampler" not in arm.options:
            raise InputError(f"{table}: arm {name} has no options with a sampler")
        arms.append(arm)
    return arms
