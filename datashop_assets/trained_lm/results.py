"""What the steps of this package depend on and give, and how other steps open it."""

from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from datashop_assets.core.step import StepConfig, StepOutput, StepResult
from datashop_assets.training_documents.results import DrawnDocuments
from datashop_assets.training_documents.settings import Checkpoint, TrainingSettings

CURVE = "curve.parquet"  # of a training run: seed, step, loss, learning rate, pace
PICTURE = "training.png"  # the same, drawn
SEED = "seed-"  # a model's folder is `seed-<number>`
PACES = frozenset({"training_seconds", "tokens_per_second"})


class ControlConfig(StepConfig):
    settings: TrainingSettings
    checkpoint: Checkpoint | None


class CandidateConfig(ControlConfig):
    """`max_epochs`: how often the kept documents may be gone through."""

    max_epochs: float


class TrainedModels(BaseModel):
    """Models trained on the same settings, one a seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    seeds: int
    length: int  # tokens that a model sees at once
    parameters: int
    tokens: int  # that each model was trained on
    training_flops: int  # of one seed
    final_loss: list[float]  # nats a token, mean of the last twentieth of the steps


class LMResult(StepResult):
    """What all steps that train language models have in common."""

    volatile: ClassVar[frozenset[str]] = PACES
    models: TrainedModels

    def tokens_spent(self) -> int:
        return self.models.tokens * self.models.seeds


class ControlLMResult(LMResult):
    step: ClassVar[str] = "control_lm"
    training_seconds: float  # of all seeds, several of which run at once
    tokens_per_second: int  # of one seed


class OwnDocuments(BaseModel):
    """What a model's own stream was drawn from. Tokens count a separator a document."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    checked: DrawnDocuments
    tokens_read: int  # by each seed, some documents more than once where `epochs` is more than 1
    tokens_held: list[int]  # by seed: of the different documents that were drawn for it
    epochs: float  # how often a seed went through the documents it could draw from


class MatchedLMResult(LMResult):
    """`kept` are the kept documents that the candidate reads, whose mix of sources and lengths `own` has."""

    step: ClassVar[str] = "matched_lm"
    own: OwnDocuments
    kept_tokens_held: list[int]  # by seed
    training_seconds: float
    tokens_per_second: int


class TrainedLMResult(LMResult):
    """`kept_documents` and `kept_tokens`: all kept ones of the training part, those not drawn by estimate."""

    step: ClassVar[str] = "trained_lm"
    own: OwnDocuments
    kept_documents: int  # of the training part, whether they were drawn or not
    kept_tokens: int  # of those that may be read; by the drawn ones' share where not all were drawn
    training_seconds: float
    tokens_per_second: int


class ControlSecondRateResult(ControlLMResult):
    step: ClassVar[str] = "control_lm_second_rate"


class MatchedSecondRateResult(MatchedLMResult):
    step: ClassVar[str] = "matched_lm_second_rate"


class TrainedSecondRateResult(TrainedLMResult):
    step: ClassVar[str] = "trained_lm_second_rate"


def model_folder(output: StepOutput[LMResult], seed: int) -> Path:
    """A local Hugging Face folder with one seed's model, every file checked."""
    name = f"{SEED}{seed}"
    return output.files(f"{name}/")[f"{name}/config.json"].parent


def seeds_of(output: StepOutput[LMResult]) -> list[int]:
    """The seeds whose models a step holds, in order."""
    names = {file.name.partition("/")[0] for file in output.manifest.files if file.name.startswith(SEED)}
    return sorted(int(name.removeprefix(SEED)) for name in names)
