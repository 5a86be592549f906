"""Static embeddings as one of the kinds: a logistic head on a document's mean vector and on its words.

The vector says what a document is about, and serves every prompt; single words say what the mean blurs. A document's
words are its distinct tokens, weighed by how few of the labelled documents have them and brought to length
`WORD_LENGTH`, beside the vector's 1. Where vectors of the whole pool are kept for all prompts, scoring reads no text,
and a head reads the vector alone.

The head is one logistic regression on the targets as they are: a document with target t counts t as positive and
1 - t as negative. How it was chosen stands in docs/encoders.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy import sparse

from datashop_assets.models.bert.static_embeddings import BLOCK, Half, StaticEmbedding
from datashop_assets.models.bert.weights import load_bert
from datashop_assets.protocols.encoder import Labelled
from datashop_assets.statistics.intervals import Array

HEAD = "head.safetensors"
# scikit-learn's C: the larger, the less the head is held back. Cross-validated log-loss chooses 10 to 100 on the labels
# of an annotator, which follows the annotator's own errors.
STRENGTH = 2.0
WORD_LENGTH = 1.5
FEWEST_DOCUMENTS = 2  # labelled ones that have a word which a head may learn


@dataclass(frozen=True)
class WordHead:
    """What is learnt of words, both [V]. `rarity` is 0 of tokens that are none."""

    rarity: Array
    direction: Array

    def margin(self, tokens: sparse.csr_array) -> Array:
        """Documents as `StaticEmbedding.tokens` gives them [documents, V] -> [documents]"""
        return np.asarray(word_features(tokens, self.rarity) @ self.direction)


class StaticKind:
    """`folder` holds the pretrained model whose token vectors are averaged; loading an encoder needs none."""

    def __init__(self, folder: Path | None = None, *, words: bool = True) -> None:
        self._folder, self._words = folder, words

    def prepare(self, texts: Sequence[str], folder: Path) -> None:
        """Embedding is too quick to be worth keeping."""

    def fit(self, labelled: Labelled, *, seed: int, folder: Path) -> "StaticEncoder":  # noqa: ARG002 - nothing is drawn
        from sklearn.linear_model import LogisticRegression  # 1.5 s, which a process that only scores is spared

        tokens = self._embedding.tokens(labelled.texts)
        vectors = self._embedding.vectors(tokens).astype(np.float64)
        rarity = rarity_of(tokens) if self._words else None
        targets = np.array(labelled.targets, dtype=np.float64)
        weights = np.array(labelled.weights) * np.array(labelled.repeats)
        weights /= weights.mean()
        features: Array | sparse.csr_array = vectors
        if rarity is not None:
            features = sparse.csr_array(sparse.hstack([sparse.csr_array(vectors), word_features(tokens, rarity)]))
        head = LogisticRegression(C=STRENGTH, max_iter=2000).fit(
            features[np.tile(np.arange(len(targets)), 2)],
            np.repeat([1, 0], len(targets)),
            sample_weight=np.concatenate([weights * targets, weights * (1 - targets)]),
        )
        width = self._embedding.width
        direction, bias = head.coef_[0][:width], float(head.intercept_[0])
        if rarity is None:
            return VectorEncoder(self._embedding, direction, bias, folder)
        return StaticEncoder(self._embedding, direction, bias, folder, WordHead(rarity, head.coef_[0][width:]))

    def load(self, paths: Sequence[Path]) -> "StaticEncoder":
        folder = paths[0].parent
        embedding, head = StaticEmbedding.load(folder), load_file(folder / HEAD)
        direction, bias = head["direction"], float(head["bias"][0])
        encoder = (
            StaticEncoder(embedding, direction, bias, folder, WordHead(head["rarity"], head["words"]))
            if "words" in head
            else VectorEncoder(embedding, direction, bias, folder)
        )
        encoder.paths = tuple(paths)
        return encoder

    @cached_property
    def _embedding(self) -> StaticEmbedding:
        if self._folder is None:
            raise ValueError("a static encoder is trained with the folder of a pretrained model; give it to kind_of")
        return static_embedding(self._folder)


@dataclass
class StaticEncoder:
    """An embedding with a logistic head. Its files are written to `folder` when they are first asked for."""

    embedding: StaticEmbedding
    direction: Array  # [D]
    bias: float
    folder: Path
    words: WordHead | None = None

    @cached_property
    def paths(self) -> Sequence[Path]:
        tensors = {"direction": self.direction, "bias": np.array([self.bias])}
        if self.words is not None:
            tensors |= {"rarity": self.words.rarity, "words": self.words.direction}
        written = self.embedding.save(self.folder)
        save_file(tensors, self.folder / HEAD)
        return [*written, self.folder / HEAD]

    def margin(self, texts: Sequence[str]) -> Array:
        """Texts -> log-odds float64 [documents]"""
        blocks = (self.embedding.tokens(texts[start : start + BLOCK]) for start in range(0, len(texts), BLOCK))
        return np.concatenate([np.zeros(0), *map(self._margin, blocks)])

    def _margin(self, tokens: sparse.csr_array) -> Array:
        margin = self._margin_of_vectors(self.embedding.vectors(tokens))
        return margin if self.words is None else margin + self.words.margin(tokens)

    def _margin_of_vectors(self, vectors: Half) -> Array:
        return np.asarray(vectors.astype(np.float64) @ self.direction + self.bias)


class VectorEncoder(StaticEncoder):
    """One whose head reads the vector alone, so that margins follow from `pool_embeddings`."""

    def margin_of(self, vectors: Half) -> Array:
        """Vectors [documents, D], as of `pool_embeddings` -> log-odds float64 [documents]: what `margin` gives."""
        return self._margin_of_vectors(vectors)


def rarity_of(tokens: sparse.csr_array) -> Array:
    """log((1 + n) / (1 + those that have it)) + 1 of each token of n documents [n, V]; 0 where hardly any has it."""
    documents, size = tokens.shape
    having = np.bincount(tokens.indices, minlength=size)
    return np.where(having >= FEWEST_DOCUMENTS, np.log((1 + documents) / (1 + having)) + 1, 0.0)


def word_features(tokens: sparse.csr_array, rarity: Array) -> sparse.csr_array:
    """Documents [documents, V] as float64 [documents, V] of length `WORD_LENGTH`, or 0 of one without such words."""
    length = np.sqrt(tokens @ rarity**2)
    scale = WORD_LENGTH / np.where(length > 0, length, 1.0)
    return sparse.csr_array(sparse.diags_array(scale) @ tokens @ sparse.diags_array(rarity))


def static_embedding(folder: Path) -> StaticEmbedding:
    """The token vectors of the pretrained model in `folder`."""
    return StaticEmbedding.of(load_bert(folder))
