"""The section `processor`: how a written reply becomes a score."""

import re
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from datashop_assets.processors.named import KNOWN, processor, version_of
from datashop_assets.prompts.section import Section


class Processor(Section):
    """How a written reply becomes a score: a known name, or `package.module:Class`. Used by `generate` alone.

    The class is imported when the file is read, so that what is wrong with it is said then; see
    `protocols.processor`.
    """

    type: str = "finalscore0-5"
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("type")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name in KNOWN or re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name):
            return name
        raise ValueError("unknown processor; use finalscore0-5, medu, or the import path package.module:Class")

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        processor(self.type, self.options)
        return self

    @property
    def identity(self) -> dict[str, Any]:
        """All that the meaning of a reply depends on."""
        return {"type": self.type, "options": self.options, "version": version_of(self.type)}
