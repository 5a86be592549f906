"""What the graph agrees on with any small model that learns an annotator's labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Encoder(Protocol):
    """A trained model. `paths` are all the files that it is loaded from."""

    @property
    def paths(self) -> Sequence[Path]: ...

    def margin(self, texts: Sequence[str]) -> "NDArray[np.float64]":
        """Log-odds of the positive class, float64 [documents]. Two processes on one machine give the same bits."""
        ...


class EncoderKind(Protocol):
    """A way to train encoders, with its settings."""

    def fit(
        self, texts: Sequence[str], targets: Sequence[float], repeats: Sequence[float], *, seed: int, folder: Path
    ) -> Encoder:
        """Trains on P(positive) of each text, read `repeats` times, and leaves the model's files in `folder`."""
        ...

    def load(self, paths: Sequence[Path]) -> Encoder: ...
