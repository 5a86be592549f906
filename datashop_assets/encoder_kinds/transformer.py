"""A BERT-type encoder as one of the kinds: frozen with a head, or tuned whole.

A text that is longer than the model reads at once is read in windows, and its score is the mean of theirs. Frozen, the
texts are embedded once for all folds and only the head is trained, some 2 s a fold. A document's loss counts by its
importance weight times its repeats, and is shared among its windows. A tenth of the documents, drawn by hash, choose
the best epoch.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np
from numpy.typing import NDArray

from datashop_assets.models.bert import heads
from datashop_assets.models.bert.classifier import load_classifier, save_classifier
from datashop_assets.models.bert.model import Bert, hidden, pooled
from datashop_assets.models.bert.weights import load_bert
from datashop_assets.models.tuning import Documents, Loss, TuningSettings, tune
from datashop_assets.prompts.encoder_settings import TransformerConfig
from datashop_assets.protocols.encoder import Labelled
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.writing import on_disk

VALIDATION = 0.1  # of the documents
ROUNDED = 32  # tokens: one program for texts of nearly one length


class TransformerKind:
    """`folder` holds the pretrained model; loading an encoder needs none. `fit` reads what `prepare` has prepared."""

    def __init__(self, config: TransformerConfig, folder: Path | None = None) -> None:
        self._config, self._folder = config, folder
        # text -> features [1, D], or tokens of its windows [W, T] where all weights are tuned
        self._inputs: dict[str, NDArray[Any]] = {}

    def prepare(self, texts: Sequence[str], folder: Path) -> None:
        distinct = list(dict.fromkeys(texts))
        if self._config.tune == "all":
            self._inputs = self._tokens(distinct)
            return
        path = folder / "features.npy"
        if not path.exists():
            network = embedder(self._base, self._config.longest)
            features = embed(self._base, network, distinct, self._config.longest, self._config.windows)
            with on_disk(path) as file:
                np.save(file, features.astype(np.float32))
        self._inputs = dict(zip(distinct, np.load(path)[:, None], strict=True))

    def fit(self, labelled: Labelled, *, seed: int, folder: Path) -> "TransformerEncoder":
        read = [self._inputs[text] for text in labelled.texts]
        windows = np.array([len(one) for one in read])
        each = np.repeat(np.arange(len(read)), windows)
        expected = heads.HIGHEST * np.array(labelled.targets, np.float32)
        weight = (np.array(labelled.weights, np.float32) * np.array(labelled.repeats, np.float32) / windows)[each]
        documents = {
            "read": np.concatenate(read),
            "targets": heads.targets_of(self._config.head, expected[each]),
            "weight": weight / weight.mean(),
        }
        learning, validation = split(
            documents, [text for text, count in zip(labelled.texts, windows, strict=True) for _ in range(count)]
        )
        weights: dict[str, Any] = {
            "head": heads.start(
                self._config.head, self._base.config.hidden_size, expected, np.array(labelled.weights, np.float32)
            )
        }
        if self._config.tune == "all":
            weights["network"] = dict(self._base.weights)
        trained = tune(
            self._loss,
            weights,
            learning,
            validation,
            TuningSettings(**self._config.training.model_dump()),
            seed=seed,
            checkpoint=folder / "checkpoint.safetensors",
        )
        best = jax.tree.map(np.asarray, trained.best)
        if self._config.tune == "all":
            return TransformerEncoder(self._base.with_weights(best["network"]), best["head"], self._config, folder)
        return TransformerEncoder(self._base, best["head"], self._config, folder, features=self._inputs)

    def load(self, paths: Sequence[Path]) -> "TransformerEncoder":
        folder = paths[0].parent
        bert, head = load_classifier(folder)
        return TransformerEncoder(bert, head, self._config, folder, paths=tuple(paths))

    @cached_property
    def _base(self) -> Bert:
        if self._folder is None:
            raise ValueError("a transformer is trained with the folder of a pretrained model; give it to kind_of")
        return load_bert(self._folder, self._config.pooling)

    @cached_property
    def _loss(self) -> Loss:
        """One object for all folds, so that what is compiled for one serves the others."""
        return loss_of(self._base, self._config.head, self._config.tune)

    def _tokens(self, texts: Sequence[str]) -> dict[str, NDArray[np.int32]]:
        """Text -> its windows [W, T] with -1 as padding, T the longest window of any text, rounded up."""
        tokens = self._base.windows(list(texts), self._config.longest, self._config.windows)
        longest = max(len(window) for windows in tokens for window in windows)
        length = min(self._base.config.longest, -(-longest // ROUNDED) * ROUNDED)
        found = {}
        for text, windows in zip(texts, tokens, strict=True):
            padded = np.full((len(windows), length), -1, dtype=np.int32)
            for place, window in enumerate(windows):
                padded[place, : len(window)] = window
            found[text] = padded
        return found


class TransformerEncoder:
    """An encoder with a head. Its files are written to `folder` when they are first asked for."""

    def __init__(
        self,
        bert: Bert,
        head: heads.Head,
        config: TransformerConfig,
        folder: Path,
        *,
        paths: Sequence[Path] | None = None,
        features: Mapping[str, NDArray[np.float32]] | None = None,  # [1, D] of texts that were embedded before
    ) -> None:
        self._bert, self._head, self._longest, self._windows = bert, head, config.longest, config.windows
        self._folder, self._paths, self._features = folder, paths, features or {}

    @property
    def paths(self) -> Sequence[Path]:
        if self._paths is None:
            self._paths = save_classifier(self._bert, self._head, self._longest, self._folder)
        return self._paths

    def margin(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Expected score (regression) or shared log-odds (ordinal), float64 [documents], but for a constant."""
        if self._features and all(text in self._features for text in texts):
            features = np.concatenate([self._features[text] for text in texts])
        else:
            features = embed(self._bert, self._embedder, texts, self._longest, self._windows)
        return np.asarray(features, np.float64) @ np.asarray(self._head["direction"], np.float64)

    @cached_property
    def _embedder(self) -> "Embedder":
        return embedder(self._bert, self._longest)


class Embedder(Protocol):
    def embed(self, tokens: list[list[int]], /) -> Any:
        """Token ids of every text -> pooled vectors [documents, D]."""
        ...


def embedder(bert: Bert, longest: int) -> Embedder:
    """The faster way to run `bert` here: onnxruntime on CPUs, JAX on accelerators."""
    if jax.default_backend() == "cpu":
        from datashop_assets.models.bert.onnx_graph import OnnxEmbedder

        return OnnxEmbedder(bert)
    from datashop_assets.models.bert.model import JaxEmbedder

    return JaxEmbedder(bert, longest)


def embed(bert: Bert, network: Embedder, texts: Sequence[str], longest: int, windows: int) -> NDArray[np.float32]:
    """What a head reads of texts, [documents, D]: the mean over windows of `longest` tokens, at most `windows`."""
    tokens = bert.windows(list(texts), longest, windows)
    if not tokens:
        return np.zeros((0, bert.config.hidden_size), np.float32)
    features = np.asarray(heads.features_of(network.embed([ids for one in tokens for ids in one]), bert.pooling))
    counts = np.array([len(one) for one in tokens])
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.asarray(np.add.reduceat(features, starts, axis=0) / counts[:, None], np.float32)


def loss_of(base: Bert, head: heads.HeadKind, tune: str) -> Loss:
    """The loss of documents under weights of the head alone (`tune` is `head`), or of the network too (`all`)."""

    def loss(weights: Any, batch: Any) -> jax.Array:
        features = _encoded(weights["network"], base, batch["read"]) if tune == "all" else batch["read"]
        return heads.losses(head, heads.outputs(weights["head"], features), batch["targets"])

    return loss


def split(documents: Documents, texts: Sequence[str]) -> tuple[Documents, Documents]:
    """The documents to learn from and those that choose the epoch; equal texts are on one side."""
    hashes = np.array([keyed_hash("validation", text) for text in texts], dtype=np.uint64)
    validation = hashes <= np.sort(hashes)[max(0, round(VALIDATION * len(texts)) - 1)]
    learning = {name: values[~validation] for name, values in documents.items()}
    return learning, {name: values[validation] for name, values in documents.items()}


def _encoded(network: Any, base: Bert, read: jax.Array) -> jax.Array:
    """Tokens [B, T], -1 as padding -> features [B, D]."""
    segments = (read >= 0).astype(np.int32)
    positions = jax.numpy.broadcast_to(jax.numpy.arange(read.shape[1]), read.shape) * segments
    x = hidden(network, base.config, jax.numpy.maximum(read, 0), positions, segments)
    features: jax.Array = heads.features_of(pooled(x, positions, segments, 1, base.pooling)[:, 0], base.pooling)
    return features
