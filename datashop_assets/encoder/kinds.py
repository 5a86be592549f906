"""The kinds of encoder a prompt can name, each made from the encoder section of its configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datashop_assets.protocols.encoder import EncoderKind, Labelled


@dataclass(frozen=True, slots=True)
class FastTextKind:
    """`config` is the encoder's configuration, of which the fields of fastText are read."""

    config: Mapping[str, Any]

    def prepare(self, texts: Sequence[str], folder: Path) -> None:
        """Nothing is shared between trainings."""

    def fit(self, labelled: Labelled, *, seed: int, folder: Path) -> Any:
        from datashop_assets.models.fasttext import classifier as fasttext

        settings = fasttext.FastTextSettings(
            dim=self.config["dimensions"],
            epochs=self.config["epochs"],
            learning_rate=self.config["learning_rate"],
            min_subword=self.config["min_subword"],
            max_subword=self.config["max_subword"],
            buckets=self.config["buckets"],
            each_word_once=self.config.get("each_word_once", True),
        )
        texts, labels, repeats = labelled.texts, labelled.labels, labelled.repeats
        return fasttext.fit(texts, labels, repeats=repeats, settings=settings, seed=seed, folder=folder)

    def load(self, paths: Sequence[Path]) -> Any:
        from datashop_assets.models.fasttext.classifier import FastText

        [path] = paths
        return FastText(path, self.config.get("each_word_once", True))


def kind_of(config: Mapping[str, Any], cache: Path | None = None) -> EncoderKind:
    """The kind that `config["kind"]` names. Training needs `cache`, a folder for base models; loading does not.

    Raises `ValueError` for a kind that is not known.
    """
    match config["kind"]:
        case "fasttext":
            return FastTextKind(config)
        case "transformer":
            from datashop_assets.encoder.transformer import TransformerKind

            return TransformerKind(config["transformer"], cache)
        case "static":
            from datashop_assets.encoder.static import StaticKind

            return StaticKind(config["static"], cache)
    raise ValueError(f"encoder.kind is {config['kind']!r}; the kinds there are: fasttext, transformer, static")
