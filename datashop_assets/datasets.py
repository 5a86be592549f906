"""Pools and samples by name. A name stands wherever a URI may: in a prompt file and in `DatashopRunnerConfig`.

The two DCLM subsets are public files on the Hugging Face hub, at a fixed revision: four files of global shard 1 to
annotate (some 350,000 documents), all of global shard 2 as the pool.
"""

from collections.abc import Mapping
from types import MappingProxyType

EMBEDDED = "embedded"
EMBEDDED_DIGEST = "cdb5bea67ff04859a018be4742ea8944"  # of its documents and gold labels; checked when they are made

_DCLM = "hf://datasets/mlfoundations/dclm-baseline-1.0@a3b142c"
PRESETS: Mapping[str, str] = MappingProxyType(
    {
        EMBEDDED: EMBEDDED,
        "datashop_dclm_annotation_subset": (
            f"{_DCLM}/global-shard_01_of_10/local-shard_0_of_10/shard_0000000[0-3]_processed.jsonl.zst"
        ),
        "datashop_dclm_pretraining_subset": f"{_DCLM}/global-shard_02_of_10/*/*.jsonl.zst",
    }
)
datashop_dclm_annotation_subset = "datashop_dclm_annotation_subset"
datashop_dclm_pretraining_subset = "datashop_dclm_pretraining_subset"


def resolve_uri(name: str) -> str:
    """The URI that a preset stands for; a URI, a glob or a path stands for itself.

    Raises `ValueError` for a bare word that is no preset.
    """
    if name in PRESETS:
        return PRESETS[name]
    if any(mark in name for mark in "/\\:.*"):
        return name
    raise ValueError(f"{name!r} is no dataset; use one of {', '.join(PRESETS)}, or a path, glob or URI")
