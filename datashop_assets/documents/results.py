"""What the pool and the annotation sample are made from, and what they give."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from datashop_assets.core.step import StepConfig, StepResult
from datashop_assets.documents.sources import DocumentSource
from datashop_assets.documents.split import Split
from datashop_assets.protocols.documents import RejectReason

OK: Literal["ok"] = "ok"  # the status of an index row that is a document; of the others it is the reason
OTHERS = "(other sources)"  # sources that are counted together: a source field may hold a URL


class PretrainingPoolConfig(StepConfig):
    data: DocumentSource
    heldout_fraction: float  # of the documents; the prompt's, or less of a large pool


class AnnotationSampleConfig(StepConfig):
    data: DocumentSource
    documents: int  # wanted


@dataclass(frozen=True, slots=True)
class Size:
    documents: int = 0
    characters: int = 0
    bytes: int = 0  # of the texts, as UTF-8

    def __add__(self, other: "Size") -> "Size":
        return Size(self.documents + other.documents, self.characters + other.characters, self.bytes + other.bytes)


class RejectExample(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    reason: RejectReason
    place: str  # such as "part-00001 row 12"
    detail: str


class PretrainingPoolResult(StepResult):
    """Counts of all rows of the files. Sources beyond the 100 largest are counted together."""

    step: ClassVar[str] = "pretraining_pool"
    files: int
    heldout_fraction: float
    rows: int
    documents: int
    rejected: int
    rejects: dict[RejectReason, int]
    reject_examples: list[RejectExample]
    by_split: dict[Split, Size]
    by_source: dict[str, dict[Split, Size]]


class AnnotationSampleResult(StepResult):
    """How a sample was drawn. `near_heldout` counts texts that came up in the draw and were left out."""

    step: ClassVar[str] = "annotation_sample"
    documents: int  # drawn
    requested: int
    available: int  # documents of the source that are not held out
    heldout: int  # documents of the source that are
    near_heldout: int
    repeated: int | None  # documents whose text or id was drawn already; None where not everything was drawn
    rejected: int
    rejects: dict[RejectReason, int]
    reject_examples: list[RejectExample]
