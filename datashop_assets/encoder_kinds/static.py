"""Static embeddings as one of the kinds: a logistic head on vectors that serve every prompt.

On the embedded pool, 600 gold labels, eight draws: AUC 0.996 and precision at the true share 0.915 with each token
counted once and weighted by its rarity; 0.994 and 0.90 by a ridge head on all tokens alike. Token vectors made by
running the vocabulary through MiniLM (as model2vec does) gave 0.994 and 0.89. See docs/encoders.md.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from datashop_assets.models.bert.static_embeddings import Half, StaticEmbedding
from datashop_assets.models.bert.weights import load_bert
from datashop_assets.protocols.encoder import Labelled
from datashop_assets.statistics.agreement import log_loss
from datashop_assets.statistics.intervals import Array
from datashop_assets.storage.digests import keyed_hash

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

HEAD = "head.safetensors"
STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)  # scikit-learn's C: the larger, the less the head is held back
FOLDS = 5


class StaticKind:
    """`folder` holds the pretrained model whose token vectors are averaged; loading an encoder needs none."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def prepare(self, texts: Sequence[str], folder: Path) -> None:
        """Embedding is too quick to be worth keeping."""

    def fit(self, labelled: Labelled, *, seed: int, folder: Path) -> "StaticEncoder":  # noqa: ARG002 - nothing is drawn
        vectors = self._embedding.embed(labelled.texts).astype(np.float64)
        labels = np.array(labelled.labels, dtype=np.float64)
        weights = np.array(labelled.weights) * np.array(labelled.repeats)
        folds = np.array([keyed_hash("strength", text) % FOLDS for text in labelled.texts])
        best = min(STRENGTHS, key=lambda strength: _loss_out_of_fold(strength, vectors, labels, weights, folds))
        head = _fit_head(best, vectors, labels, weights)
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
        """Vectors [documents, D] of `pool_embeddings` -> log-odds float64 [documents]: what `margin` gives of texts."""
        return np.asarray(vectors.astype(np.float64) @ self._direction + self._bias)


def static_embedding(folder: Path) -> StaticEmbedding:
    """The token vectors of the pretrained model in `folder`."""
    return StaticEmbedding.of(load_bert(folder))


def _fit_head(strength: float, vectors: Array, labels: Array, weights: Array) -> "LogisticRegression":
    from sklearn.linear_model import LogisticRegression  # 1.5 s, which a process that only scores is spared

    return LogisticRegression(C=strength, max_iter=2000).fit(vectors, labels, sample_weight=weights / weights.mean())


def _loss_out_of_fold(
    strength: float, vectors: Array, labels: Array, weights: Array, folds: NDArray[np.int64]
) -> float:
    """Weighted log-loss of heads on the folds that they did not see; infinite where a fold's rest lacks a class."""
    probability = np.zeros(len(labels))
    for fold in range(FOLDS):
        inside, unseen = folds != fold, folds == fold
        if not unseen.any() or len(set(labels[inside])) < 2:
            return np.inf
        head = _fit_head(strength, vectors[inside], labels[inside], weights[inside])
        probability[unseen] = head.predict_proba(vectors[unseen])[:, 1]
    return log_loss(probability, labels, weights)
