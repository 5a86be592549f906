"""Static embeddings as one of the kinds: a logistic head on vectors that serve every prompt.

The head is one logistic regression on the targets as they are: a document with target t counts t as positive and
1 - t as negative. How it was chosen stands in docs/encoders.md.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from datashop_assets.models.bert.static_embeddings import Half, StaticEmbedding
from datashop_assets.models.bert.weights import load_bert
from datashop_assets.protocols.encoder import Labelled
from datashop_assets.statistics.intervals import Array

HEAD = "head.safetensors"
# scikit-learn's C: the larger, the less the head is held back. Cross-validated log-loss chose 10 to 100 on 500 labels
# of an annotator, which follows the annotator's own errors: AUC against gold 0.976 to 0.981, and 0.983 with 3.
STRENGTH = 5.0


class StaticKind:
    """`folder` holds the pretrained model whose token vectors are averaged; loading an encoder needs none."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def prepare(self, texts: Sequence[str], folder: Path) -> None:
        """Embedding is too quick to be worth keeping."""

    def fit(self, labelled: Labelled, *, seed: int, folder: Path) -> "StaticEncoder":  # noqa: ARG002 - nothing is drawn
        from sklearn.linear_model import LogisticRegression  # 1.5 s, which a process that only scores is spared

        vectors = self._embedding.embed(labelled.texts).astype(np.float64)
        targets = np.array(labelled.targets, dtype=np.float64)
        weights = np.array(labelled.weights) * np.array(labelled.repeats)
        weights /= weights.mean()
        head = LogisticRegression(C=STRENGTH, max_iter=2000).fit(
            np.concatenate([vectors, vectors]),
            np.repeat([1, 0], len(vectors)),
            sample_weight=np.concatenate([weights * targets, weights * (1 - targets)]),
        )
        return StaticEncoder(self._embedding, head.coef_[0], float(head.intercept_[0]), folder)

    def load(self, paths: Sequence[Path]) -> "StaticEncoder":
        folder = paths[0].parent
        head = load_file(folder / HEAD)
        encoder = StaticEncoder(StaticEmbedding.load(folder), head["direction"], float(head["bias"][0]), folder)
        encoder.paths = tuple(paths)
        return encoder

    @cached_property
    def _embedding(self) -> StaticEmbedding:
        if self._folder is None:
            raise ValueError("a static encoder is trained with the folder of a pretrained model; give it to kind_of")
        return static_embedding(self._folder)


class StaticEncoder:
    """An embedding with a logistic head. Its files are written to `folder` when they are first asked for."""

    def __init__(self, embedding: StaticEmbedding, direction: Array, bias: float, folder: Path) -> None:
        self._embedding, self._direction, self._bias, self._folder = embedding, direction, bias, folder

    @cached_property
    def paths(self) -> Sequence[Path]:
        written = self._embedding.save(self._folder)
        save_file({"direction": self._direction, "bias": np.array([self._bias])}, self._folder / HEAD)
        return [*written, self._folder / HEAD]

    def margin(self, texts: Sequence[str]) -> Array:
        return self.margin_of(self._embedding.embed(texts))

    def margin_of(self, vectors: Half) -> Array:
        """Vectors [documents, D], as of `pool_embeddings` -> log-odds float64 [documents]: what `margin` gives."""
        return np.asarray(vectors.astype(np.float64) @ self._direction + self._bias)


def static_embedding(folder: Path) -> StaticEmbedding:
    """The token vectors of the pretrained model in `folder`."""
    return StaticEmbedding.of(load_bert(folder))
