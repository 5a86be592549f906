"""The section `processor`: how a written reply becomes a score."""

import re
from typing import Any

from pydantic import Field, field_validator

from datashop_assets.prompts.section import Section


class Processor(Section):
    """How a written reply becomes a score: a known name, or `package.module:Class`. Not used by likelihood."""

    type: str = "finalscore0-5"
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("type")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name in ("finalscore0-5", "medu") or re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name):
            return name
        raise ValueError("unknown processor; use finalscore0-5, medu, or the import path package.module:Class")
