"""Base class of all documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from atomate2_vogen import __version__
from atomate2_vogen.files import check_name

SCHEMA_VERSION = 1

FileName = Annotated[str, AfterValidator(check_name)]
"""Text that files are named by: a document that would lead out of a folder is refused."""

NAMED_FIELDS = 3
"""Fields that an error names."""


def wrong_fields(error: ValidationError) -> str:
    """Which fields of a document do not fit, and why; their values are not repeated."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    parts = [
        f"{'.'.join(map(str, one['loc'])) or 'all'}: {_why(one['msg'])}"
        for one in found[:NAMED_FIELDS]
    ]
    rest = f"; and {len(found) - NAMED_FIELDS} more" if len(found) > NAMED_FIELDS else ""
    return "; ".join(parts) + rest


def _why(message: str) -> str:
    """One line; monty puts a whole traceback into its messages."""
    return message.partition(": Traceback")[0].partition("\n")[0]


class VogenDoc(BaseModel):
    """Fields that every document has.

    Examples
    --------
    >>> document = VogenDoc()
    >>> document.schema_version, document.last_updated.tzname()
    (1, 'UTC')
    """

    # documents read back from a store carry `_id`; MSONable adds `@module` and `@class`
    model_config = ConfigDict(extra="ignore")

    schema_version: int = SCHEMA_VERSION
    package_version: str = __version__
    last_updated: datetime = Field(default_factory=lambda: datetime.now(UTC))
