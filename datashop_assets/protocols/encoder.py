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
        self, texts: Sequence[str], labels: Sequence[int], repeats: Sequence[int], *, seed: int, folder: Path
    ) -> Encoder:
        """Trains on labels 0 and 1, each text read `repeats` times an epoch, and leaves its files in `folder`."""
        ...

    def load(self, paths: Sequence[Path]) -> Encoder: ...
