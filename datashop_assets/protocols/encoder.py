"""What the graph agrees on with any small model that learns an annotator's labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Labelled:
    """Texts with what is to be learnt of them, all sequences [documents]."""

    texts: Sequence[str]  # as much of each as the encoder reads
    targets: Sequence[float]  # 0 to 1: the annotator's score as a share of the highest, or 0 and 1 for a cut
    weights: Sequence[float]  # one over the probability of being drawn
    repeats: Sequence[int]  # how often each is read, to even out rare positives


class Encoder(Protocol):
    """A trained model."""

    @property
    def paths(self) -> Sequence[Path]:
        """All the files that it is loaded from, their names different. A kind may write them when first asked."""
        ...

    def margin(self, texts: Sequence[str]) -> "NDArray[np.float64]":
        """What documents are ranked by, higher for higher targets, float64 [documents].

        Log-odds where the kind has a classifier; calibration makes probabilities of it. Two processes on one machine
        give the same bits for the same texts.
        """
        ...


class TextScorer(Protocol):
    """A finished encoder as other steps use it: of each text it reads as much as it was trained to read."""

    def margins(self, texts: Sequence[str]) -> "NDArray[np.float64]":
        """What documents are ranked by, higher for higher scores, float64 [documents]."""
        ...


@runtime_checkable
class EmbeddingEncoder(Encoder, Protocol):
    """An encoder whose margins follow from the vectors that `pool_embeddings` may hold."""

    def margin_of(self, vectors: "NDArray[np.float16]") -> "NDArray[np.float64]":
        """Vectors [documents, D] -> [documents], what `margin` gives of their texts."""
        ...


class EncoderKind(Protocol):
    """A way to train encoders, with its settings."""

    def prepare(self, texts: Sequence[str], folder: Path) -> None:
        """Called once with all the texts that any `fit` will see: computes what they share and keeps it in `folder`."""
        ...

    def fit(self, labelled: Labelled, *, seed: int, folder: Path) -> Encoder:
        """Trains and leaves its files in `folder`, a checkpoint too if it takes long: a killed run goes on from it."""
        ...

    def load(self, paths: Sequence[Path]) -> Encoder: ...
