"""Documents of the paper's tables and figures, made anew."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, Field, field_validator

from atomate2_vogen.schemas.base import VogenDoc
from atomate2_vogen.schemas.jobs import LinkedDoc
from atomate2_vogen.schemas.metrics import Proportion

TableCell: TypeAlias = Proportion | int | float | str | None
"""What stands in a table: a share with its interval, a number, a text, or nothing."""


class PaperTable(BaseModel):
    """A table with published values beside those of a run.

    Examples
    --------
    >>> table = PaperTable(
    ...     name="sizes", title="Sizes", columns=["", "paper", "this run"], rows=[["crystals", 451, 8]]
    ... )
    >>> table.rows[0][1]
    451
    """

    name: str = Field(description="for files and programs")
    title: str
    columns: list[str]
    rows: list[list[TableCell]]
    notes: list[str] = Field(default_factory=list, description="what a reader must know of it")

    @field_validator("rows")
    @classmethod
    def _whole(cls, rows: list[list[TableCell]], info: object) -> list[list[TableCell]]:
        columns = getattr(info, "data", {}).get("columns", [])
        for row in rows:
            if len(row) != len(columns):
                raise ValueError(f"a row has {len(row)} cells, the table {len(columns)} columns")
        return rows


class GanDoc(VogenDoc):
    """A generator trained with one loss, and what decodes from its latents.

    Examples
    --------
    >>> GanDoc.model_fields["steps"].description
    'of the generator'
    """

    kind: Literal["GAN", "WGAN"]
    steps: int = Field(description="of the generator")
    seed: int
    preset: str
    autoencoders: str = Field(
        description="id of the model whose autoencoders and energy CNN it has"
    )
    model_id: str = Field(description="hash of the weights")
    history: dict[str, list[float]] = Field(
        description="metric -> means over equal numbers of steps"
    )
    decoded: dict[str, Proportion] = Field(
        description="of plain latents without filter: ``exact_composition`` decode to the formula "
        "asked for, ``sound`` have atoms apart, too"
    )
    wall_time: float = Field(description="seconds")


class PaperDoc(LinkedDoc):
    """The paper's tables, and links to the jobs that its figures are drawn from.

    Examples
    --------
    >>> PaperDoc(requested={"VO2": 1}, seed=1, samplers=["wgan"], scheme="CHGNet-0.3.0").tables
    []
    """

    requested: dict[str, int] = Field(description="crystals asked for of each sampler, by formula")
    seed: int
    samplers: list[str]
    scheme: str = Field(description="energy scale of the model that judges")
    tables: list[PaperTable] = Field(default_factory=list)
