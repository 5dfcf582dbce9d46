"""The record of a run (``run.json``), checked, because it may have been edited."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
)

from atomate2_vogen.errors import OutputFolderError
from atomate2_vogen.schemas.base import wrong_fields
from atomate2_vogen.structured import read_structured

FORMAT = 1

Plain = StrictStr | StrictInt | StrictFloat | StrictBool | None


class RunStage(BaseModel):
    """What one stage of a run did, and how long it took."""

    model_config = ConfigDict(extra="allow")

    stage: StrictStr
    run: int | None = Field(None, ge=1)
    seconds: float | None = Field(None, ge=0, allow_inf_nan=False)


class RunRecord(BaseModel):
    """Fields of ``run.json`` that something is read from; others may stand beside them."""

    model_config = ConfigDict(extra="allow")

    format: Literal[1]
    command: StrictStr
    identity: dict[str, Any]
    runs: StrictInt = Field(1, ge=1)
    started: StrictStr | None = None
    updated: StrictStr | None = None
    judge: StrictStr | None = None
    hull_id: StrictStr | None = None
    workers: StrictInt | None = None
    versions: dict[str, StrictStr] = Field(default_factory=dict)
    stages: list[RunStage] = Field(default_factory=list)


def read_record(path: Path) -> dict[str, Any]:
    """The record of a run.

    Raises
    ------
    OutputFolderError
        If the file cannot be read, or a field of it is missing or of the wrong kind; the message
        names file and field.
    """
    content = read_structured(path, OutputFolderError)
    try:
        RunRecord.model_validate(content)
    except ValidationError as error:
        raise OutputFolderError(
            f"{path}: not readable as a run of vogen ({wrong_fields(error)}); mend the file, or "
            "give another folder"
        ) from error
    return dict(content)
