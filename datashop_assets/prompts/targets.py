"""The sections `targets` and `writing`: documents from which the annotator writes the rubric (MEDU)."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from datashop_assets.prompts.annotator import Sampling
from datashop_assets.prompts.data import Data
from datashop_assets.prompts.secrets import Address
from datashop_assets.prompts.section import Count, Section

ONE_SET = "targets"  # the name of a set that has none
MEDU = {"Great": 5.0, "Good": 4.0, "Okay": 3.0, "Poor": 2.0, "Useless": 1.0}  # what a written rubric asks for


class TargetSet(Data):
    """Texts, or `documents` of the rows of a file, drawn at random."""

    # a list counts as a tuple: after the validator of `Data`, what was JSON is Python, where strict types differ
    texts: tuple[Annotated[str, Field(min_length=1)], ...] = Field(default=(), max_length=1000, strict=False)
    uri: Address = ""
    documents: Annotated[int, Field(ge=1, le=1000)] = 16

    @model_validator(mode="after")
    def _texts_or_a_file(self) -> Self:
        if bool(self.texts) == bool(self.uri):
            raise ValueError("a set of targets is a list of texts or has a `uri`; give exactly one")
        return self


Targets = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=100)], TargetSet], Field(min_length=1, max_length=20)
]


class Writing(Section):
    """How a rubric is written. The annotator of the section `annotator` writes it."""

    sampling: Sampling = Sampling(temperature=0.0, max_tokens=300)  # of each description
    read_characters: Annotated[int, Field(ge=50, le=100_000)] = 8000  # of each document
    characters: Annotated[int, Field(ge=200, le=50_000)] = 6000  # of all descriptions in the rubric, shared equally
    seed: int = 0  # of the order in which descriptions are merged
    described: Annotated[float, Field(gt=0, le=1)] = 0.9  # least share of a set's documents that has a description
    attempts: Count = 3  # at a call that fails


def with_targets(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a prompt file with its targets as named sets.

    A list of texts is a set, and a list or a file alone is the only one. A written rubric asks for the words Great to
    Useless, so that processor and score_token read these where the file does not say.
    """
    if (targets := fields.get("targets")) is None:
        return fields
    if isinstance(targets, list) or (isinstance(targets, Mapping) and isinstance(targets.get("uri"), str)):
        targets = {ONE_SET: targets}
    if isinstance(targets, Mapping):
        targets = {name: {"texts": one} if isinstance(one, list) else one for name, one in targets.items()}
    return {"processor": {"type": "medu"}, **fields, "targets": targets, **_label_words(fields.get("annotator", {}))}


def _label_words(annotator: Any) -> dict[str, Any]:
    if not isinstance(annotator, Mapping) or "score_token" in annotator:
        return {}
    return {"annotator": {**annotator, "score_token": {"options": MEDU}}}
