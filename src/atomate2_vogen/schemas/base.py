"""What every document has."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from atomate2_vogen import __version__

SCHEMA_VERSION = 1


class VogenDoc(BaseModel):
    """Fields that every document has."""

    # documents read back from a store carry `_id`; MSONable adds `@module` and `@class`
    model_config = ConfigDict(extra="ignore")

    schema_version: int = SCHEMA_VERSION
    package_version: str = __version__
    last_updated: datetime = Field(default_factory=lambda: datetime.now(UTC))
