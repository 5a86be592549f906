"""What the pool and the annotation sample are made from, and what they give."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from datashop_assets.core.step import StepConfig, StepResult
from datashop_assets.documents.formats import PassedOverBecause
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


class PassedOver(BaseModel):
    """Files that are not read, for one reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    files: int
    examples: list[str]  # names, below the folder that is read


class UnreadableFile(BaseModel):
    """A file that could not be read as a whole. What was read of it before counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    bytes: int
    cause: str


class SourceResult(StepResult):
    """What of the files of a source is not among the documents, and why."""

    rejected: int
    rejects: dict[RejectReason, int]
    reject_examples: list[RejectExample]
    passed_over: dict[PassedOverBecause, PassedOver] = Field(default_factory=dict)
    unreadable: list[UnreadableFile] = Field(default_factory=list)


class PretrainingPoolResult(SourceResult):
    """Counts of all rows of the files. Sources beyond the 100 largest are counted together."""

    step: ClassVar[str] = "pretraining_pool"
    files: int
    heldout_fraction: float
    rows: int
    documents: int
    without_id: int = 0  # documents that are called by their place
    by_split: dict[Split, Size]
    by_source: dict[str, dict[Split, Size]]


class AnnotationSampleResult(SourceResult):
    """How a sample was drawn. `near_heldout` counts texts that came up in the draw and were left out."""

    step: ClassVar[str] = "annotation_sample"
    documents: int  # drawn
    requested: int
    available: int  # documents of the source that are not held out
    heldout: int  # documents of the source that are
    near_heldout: int
    repeated: int | None  # documents whose text was drawn already; None where not everything was drawn
    same_id: int = 0  # drawn documents whose id another one had; they are called by id and text
    same_id_examples: list[str] = Field(default_factory=list)
    same_id_by_source: dict[str, int] = Field(default_factory=dict)
