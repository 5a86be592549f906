"""The kinds of encoder a prompt can name, each made from the encoder section of its configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datashop_assets.models import fasttext
from datashop_assets.models.fasttext import FastText, FastTextSettings
from datashop_assets.protocols.encoder import EncoderKind


@dataclass(frozen=True, slots=True)
class FastTextKind:
    settings: FastTextSettings

    def fit(
        self, texts: Sequence[str], labels: Sequence[int], repeats: Sequence[int], *, seed: int, folder: Path
    ) -> FastText:
        return fasttext.fit(texts, labels, repeats=repeats, settings=self.settings, seed=seed, folder=folder)

    def load(self, paths: Sequence[Path]) -> FastText:
        [path] = paths
        return FastText(path)


def kind_of(config: Mapping[str, Any]) -> EncoderKind:
    """The kind that `config["kind"]` names. Raises `ValueError` for one that is not known."""
    if config["kind"] != "fasttext":
        raise ValueError(f"encoder.kind is {config['kind']!r}; the kinds there are: fasttext")
    return FastTextKind(
        FastTextSettings(
            dim=config["dimensions"],
            epochs=config["epochs"],
            learning_rate=config["learning_rate"],
            min_subword=config["min_subword"],
            max_subword=config["max_subword"],
            buckets=config["buckets"],
        )
    )
