"""A BERT-type encoder as one of the kinds: frozen with a head, or tuned whole.

Frozen, the texts are embedded once for all folds and only the head is trained, some 2 s a fold. A document's loss
counts by its importance weight times its repeats. A tenth of the documents, drawn by hash, choose the best epoch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from datashop_assets.encoder.base_model import folder_of
from datashop_assets.models.bert import heads
from datashop_assets.models.bert.model import Bert, hidden, pooled
from datashop_assets.models.bert.weights import load_bert, load_classifier, save_classifier
from datashop_assets.models.tuning import Loss, TuningSettings, tune
from datashop_assets.protocols.encoder import Labelled
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.writing import on_disk

Documents = Mapping[str, NDArray[Any]]
VALIDATION = 0.1  # of the documents
ROUNDED = 32  # tokens: one program for texts of nearly one length


@dataclass
class TransformerKind:
    """Trains on what `prepare` has read. `config` is the part `transformer` of an encoder's configuration."""

    config: Mapping[str, Any]
    cache: Path | None = None
    _read: dict[str, NDArray[Any]] = field(default_factory=dict)  # text -> features [D], or tokens [T]

    def prepare(self, texts: Sequence[str], folder: Path) -> None:
        known = list(dict.fromkeys(texts))
        read = self._features(known, folder) if self.config["tune"] == "head" else self._tokens(known)
        self._read = dict(zip(known, read, strict=True))

    def fit(self, labelled: Labelled, *, seed: int, folder: Path) -> "TransformerEncoder":
        documents, validation = split(self._documents(labelled), labelled.texts)
        trained = tune(
            self._loss,
            self._start(labelled),
            documents,
            validation,
            TuningSettings(**self.config["training"]),
            seed=seed,
            checkpoint=folder / "checkpoint.safetensors",
        )
        best = jax.tree.map(np.asarray, trained.best)
        bert = self._base.with_weights(best["network"]) if "network" in best else self._base
        known = self._read if self.config["tune"] == "head" else {}
        return TransformerEncoder(bert, best["head"], self.config["longest"], folder, known=known)

    def load(self, paths: Sequence[Path]) -> "TransformerEncoder":
        folder = paths[0].parent
        bert, head = load_classifier(folder)
        return TransformerEncoder(bert, head, self.config["longest"], folder, paths=tuple(paths))

    @cached_property
    def _base(self) -> Bert:
        if self.cache is None:
            raise ValueError("a transformer is trained with a cache folder for its base model")
        return load_bert(folder_of(self.config["model"], self.cache), self.config["pooling"])

    def _features(self, texts: Sequence[str], folder: Path) -> NDArray[np.float32]:
        kept = folder / "features.npy"
        if not kept.exists():
            features = _features(self._base, texts, self.config["longest"])
            with on_disk(kept) as file:
                np.save(file, features)
        return np.asarray(np.load(kept))

    def _tokens(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """[documents, T] with -1 as padding, T the longest text, rounded up."""
        found = self._base.tokenize(list(texts), self.config["longest"])
        length = min(self._base.config.longest, -(-max(map(len, found)) // ROUNDED) * ROUNDED)
        whole = np.full((len(found), length), -1, dtype=np.int32)
        for place, tokens in enumerate(found):
            whole[place, : len(tokens)] = tokens
        return whole

    def _documents(self, labelled: Labelled) -> Documents:
        weight = np.array(labelled.weights, np.float32) * np.array(labelled.repeats, np.float32)
        return {
            "read": np.stack([self._read[text] for text in labelled.texts]),
            "targets": heads.targets_of(self.config["head"], np.array(labelled.expected, np.float32)),
            "weight": weight / weight.mean(),
        }

    def _start(self, labelled: Labelled) -> dict[str, Any]:
        expected, weights = (np.array(values, np.float32) for values in (labelled.expected, labelled.weights))
        head = heads.start(self.config["head"], self._base.config.hidden_size, expected, weights)
        return {"head": head} if self.config["tune"] == "head" else {"head": head, "network": self._base.weights}

    @cached_property
    def _loss(self) -> Loss:
        return loss_of(self._base, self.config["head"], self.config["tune"])


class TransformerEncoder:
    """An encoder with a head. Its files are written to `folder` when they are first asked for."""

    def __init__(
        self,
        bert: Bert,
        head: heads.Head,
        longest: int,
        folder: Path,
        *,
        paths: Sequence[Path] | None = None,
        known: Mapping[str, NDArray[np.float32]] | None = None,  # features of texts that were computed before
    ) -> None:
        self._bert, self._head, self._longest = bert, head, longest
        self._folder, self._paths, self._known = folder, paths, known or {}

    @property
    def paths(self) -> Sequence[Path]:
        if self._paths is None:
            self._paths = save_classifier(self._bert, self._head, self._longest, self._folder)
        return self._paths

    def margin(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Expected score (regression) or shared log-odds (ordinal), float64 [documents], but for a constant."""
        return np.asarray(self._features(texts), np.float64) @ np.asarray(self._head["direction"], np.float64)

    def _features(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self._known and all(text in self._known for text in texts):
            return np.stack([self._known[text] for text in texts])
        found = self._embedder.embed(self._bert.tokenize(list(texts), self._longest))
        return np.asarray(heads.features_of(found, self._bert.pooling))

    @cached_property
    def _embedder(self) -> Any:
        return embedder(self._bert, self._longest)


def embedder(bert: Bert, longest: int) -> Any:
    """The faster way to run `bert` here: onnxruntime on CPUs, JAX on accelerators. It has `embed(token lists)`."""
    if jax.default_backend() == "cpu":
        from datashop_assets.models.bert.onnx_graph import OnnxEmbedder

        return OnnxEmbedder(bert)
    from datashop_assets.models.bert.model import JaxEmbedder

    return JaxEmbedder(bert, longest)


def loss_of(base: Bert, head: heads.HeadKind, tune: str) -> Loss:
    """The loss of documents under weights of the head alone (`tune` is `head`), or of the network too (`all`)."""

    def loss(weights: Any, batch: Any) -> jax.Array:
        features = _encoded(weights["network"], base, batch["read"]) if tune == "all" else batch["read"]
        return heads.losses(head, heads.outputs(weights["head"], features), batch["targets"])

    return loss


def split(documents: Documents, texts: Sequence[str]) -> tuple[Documents, Documents]:
    """The documents to learn from and those that choose the epoch; equal texts are on one side."""
    hashes = np.array([keyed_hash("validation", text) for text in texts], dtype=np.uint64)
    chosen = hashes <= np.sort(hashes)[max(0, round(VALIDATION * len(texts)) - 1)]
    return tuple({name: values[side] for name, values in documents.items()} for side in (~chosen, chosen))  # type: ignore[return-value]


def _features(bert: Bert, texts: Sequence[str], longest: int) -> NDArray[np.float32]:
    found = embedder(bert, longest).embed(bert.tokenize(list(texts), longest))
    return np.asarray(heads.features_of(found, bert.pooling), np.float32)


def _encoded(network: Any, base: Bert, read: jax.Array) -> jax.Array:
    """Tokens [B, T], -1 as padding -> features [B, D]."""
    segments = (read >= 0).astype(np.int32)
    positions = jax.numpy.broadcast_to(jax.numpy.arange(read.shape[1]), read.shape) * segments
    x = hidden(network, base.config, jax.numpy.maximum(read, 0), positions, segments)
    features: jax.Array = heads.features_of(pooled(x, positions, segments, 1, base.pooling)[:, 0], base.pooling)
    return features
