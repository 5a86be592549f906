"""What the sections of a prompt file share: strict, frozen models, and the types of their fields."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Scoring = Literal["likelihood", "generate", "score_token"]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, str_max_length=100_000)
