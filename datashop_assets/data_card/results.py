"""What the card depends on of a prompt, and what it gives."""

from typing import ClassVar, Literal, Self

from datashop_assets.core.step import StepConfig, StepResult, StepRun
from datashop_assets.evaluation.results import Verdict
from datashop_assets.prompts.annotator_settings import AnnotatorSettings
from datashop_assets.prompts.encoder_settings import EncoderSettings
from datashop_assets.prompts.keep_settings import Keep
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.prompts.settings import (
    BlindTest,
    Data,
    Evaluation,
    Labels,
    ProcessorSettings,
    Targets,
    Training,
    Writing,
)


class DataCardConfig(StepConfig):
    """All that a prompt says, because the card shows every setting; not `automatic`, which changes no figure."""

    slug: str
    name: str
    about: str
    rubric: str | None
    targets: Targets | None
    writing: Writing
    pretraining_pool: Data
    annotation_sample: Data
    heldout_fraction: float
    annotator: AnnotatorSettings
    processor: ProcessorSettings
    labels: Labels
    encoder: EncoderSettings
    keep: Keep
    blind_test: BlindTest
    training: Training
    evaluation: Evaluation

    @classmethod
    def of(cls, prompt: Prompt) -> Self:
        return cls.model_validate({name: getattr(prompt, name) for name in cls.model_fields})


CardRun = StepRun[DataCardConfig]


class DataCardResult(StepResult):
    """Where the page is, what it says first, and how many documents it holds."""

    step: ClassVar[str] = "data_card"
    path: str  # of the page
    verdict: Verdict
    matched_verdict: Verdict | Literal["not asked"]  # against the control with the same mix of sources and lengths
    kept_documents: int
    browsed_documents: int  # in the browser, of `documents`
    documents: int  # of the pool, and annotated ones that are not in it
    samples: int  # documents shown on the page
