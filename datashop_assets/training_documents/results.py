"""What the steps of this package give, and how other steps open it."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from datashop_assets.core.step import StepOutput, StepResult

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER = "tokenizer.json"


class DecontaminationResult(StepResult):
    """The index of what training documents may share no text with."""

    step: ClassVar[str] = "decontamination"
    ngram: int  # words
    ngrams: int  # different ones
    heldout_documents: int
    named_documents: int  # of evaluation.targets and evaluation.benchmarks
    named_too_short: int  # of them, those with too few words to look for


class DrawnDocuments(BaseModel):
    """Documents drawn for language models to read: those that may be read, and why the others are left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    documents: int
    bytes: int
    tokens: int  # without separators
    left_out: dict[str, int]  # reason -> documents
    left_out_by_source: dict[str, int]  # the largest sources by name, the others together

    @property
    def drawn(self) -> int:
        return self.documents + sum(self.left_out.values())


class PoolTokensResult(StepResult):
    """`documents` are those of the pool that the shared stream of all models and the control's own are drawn from."""

    step: ClassVar[str] = "pool_tokens"
    vocabulary: int
    separator: str  # the token that stands before every document
    bytes_per_token: float  # of the sample that the tokenizer was measured on
    documents: DrawnDocuments


def read_tokenizer(output: StepOutput[PoolTokensResult]) -> "Tokenizer":
    """The tokenizer of all models of a pool."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(output.file(TOKENIZER)))
