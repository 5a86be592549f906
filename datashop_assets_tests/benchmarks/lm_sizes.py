"""The models that training benchmarks train, as plain numbers that both sides read."""

from collections.abc import Mapping

Sizes = Mapping[str, int]

DEMO: Sizes = {"depth": 2, "width": 64, "hidden": 176, "heads": 2, "vocabulary": 1024, "length": 128, "batch": 8}


def of(depth: int, width: int, head: int, vocabulary: int, length: int, batch: int) -> Sizes:
    """A Llama of `depth` layers, its feed-forward layer 8/3 as wide as it is."""
    hidden = -(-width * 8 // 3 // 16) * 16
    return {
        "depth": depth,
        "width": width,
        "hidden": hidden,
        "heads": width // head,
        "vocabulary": vocabulary,
        "length": length,
        "batch": batch,
    }
