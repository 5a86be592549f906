"""Texts as weighted means of a model's own token vectors: no network runs, 10,000 documents take a second.

A text's vector is the sum over its distinct tokens of a / (a + p(token)) times the token's vector, brought to length 1
(Arora et al., A simple but tough-to-beat baseline for sentence embeddings, 2017). p follows from a token's place in the
vocabulary, which WordPiece orders by frequency (Zipf's law; as in model2vec).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy import sparse
from tokenizers import Tokenizer

from datashop_assets.models.bert.model import Bert
from datashop_assets.models.bert.weights import TOKENIZER

VECTORS = "vectors.safetensors"
SMOOTHING = 1e-4  # a
BLOCK = 4096  # texts at once

Half = NDArray[np.float16]


class StaticEmbedding:
    """A table of token vectors [V, D], already weighted, and the tokenizer whose ids are its rows."""

    def __init__(self, vectors: Half, tokenizer: Tokenizer) -> None:
        self._vectors, self._tokenizer = vectors, tokenizer
        self._table = vectors.astype(np.float32)
        tokenizer.no_padding()
        tokenizer.no_truncation()

    @classmethod
    def of(cls, bert: Bert) -> "StaticEmbedding":
        """From the word embeddings of an encoder, its position and type embeddings left out."""
        words = bert.weights["embeddings.word_embeddings.weight"]
        share = 1.0 / np.arange(2, len(words) + 2)
        weight = SMOOTHING / (SMOOTHING + share / share.sum())
        return cls((words * weight[:, None]).astype(np.float16), bert.tokenizer)

    @classmethod
    def load(cls, folder: Path) -> "StaticEmbedding":
        return cls(load_file(folder / VECTORS)["vectors"], Tokenizer.from_file(str(folder / TOKENIZER)))

    def save(self, folder: Path) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"vectors": self._vectors}, folder / VECTORS)
        self._tokenizer.save(str(folder / TOKENIZER))
        return [folder / VECTORS, folder / TOKENIZER]

    @property
    def width(self) -> int:
        return int(self._table.shape[1])

    def embed(self, texts: Sequence[str]) -> Half:
        """Texts -> [documents, D] float16, each of length 1, or all zero where a text has no token."""
        parts = [self.vectors(self.tokens(texts[start : start + BLOCK])) for start in range(0, len(texts), BLOCK)]
        return np.concatenate(parts) if parts else np.zeros((0, self.width), np.float16)

    def tokens(self, texts: Sequence[str]) -> sparse.csr_array:
        """Texts -> the distinct tokens of each: float32 [documents, V] of ones."""
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        encodings = self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)
        distinct = [np.unique(np.array(encoding.ids, dtype=np.int64)) for encoding in encodings]
        ends = np.concatenate([[0], np.cumsum([len(one) for one in distinct])])
        columns = np.concatenate([*distinct, np.zeros(0, np.int64)])
        return sparse.csr_array((np.ones(len(columns), np.float32), columns, ends), (len(texts), len(self._table)))

    def vectors(self, tokens: sparse.csr_array) -> Half:
        """The vectors of documents whose `tokens` these are, as `embed` gives them."""
        total = np.asarray(tokens @ self._table)
        length = np.linalg.norm(total, axis=1, keepdims=True)
        return (total / np.where(length > 0, length, 1.0)).astype(np.float16)
