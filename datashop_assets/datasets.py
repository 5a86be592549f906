"""Pools and samples by name. A name stands wherever a URI may: in a prompt file and in `DatashopRunnerConfig`.

A preset is files and the names of their fields. All but `embedded` are public on the Hugging Face hub. Of
DCLM-Baseline, at a fixed revision: four files of global shard 1 to annotate (some 350,000 documents) and all of global
shard 2 as the pool. Of FineWeb and FineWeb-Edu: the samples of 10, 100 and 350 billion tokens, as they are there now;
a file that has changed since is noticed by its id.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

EMBEDDED = "embedded"
EMBEDDED_DIGEST = "cdb5bea67ff04859a018be4742ea8944"  # of its documents and gold labels; checked when they are made
# Its gold labels: topics of leads, packages of docstrings. A test compares them with what is made.
EMBEDDED_GOLD = (
    "Arts", "Biology and health sciences", "Everyday life", "Geography", "History", "Mathematics", "People",
    "Philosophy and religion", "Physical sciences", "Society and social sciences", "Technology",
    "alembic", "click", "docutils", "flask", "jinja2", "mpmath", "prompt_toolkit", "setuptools", "sympy", "werkzeug",
)  # fmt: skip


@dataclass(frozen=True)
class Preset:
    """`fields` holds what differs from `text`, `id` and `source`: `text_field`, `id_field`, `source_field`."""

    uri: str
    fields: Mapping[str, str] = field(default_factory=dict)


_DCLM = "hf://datasets/mlfoundations/dclm-baseline-1.0@a3b142c"
_DCLM_FIELDS = {"id_field": "metadata.WARC-Record-ID"}  # documents have a URL and no id of their own
_FINEWEB_FIELDS = {"source_field": "dump"}  # the crawl


def _fineweb(name: str) -> dict[str, Preset]:
    return {
        f"{name.replace('-', '_')}_sample_{size}": Preset(
            f"hf://datasets/HuggingFaceFW/{name}/sample/{size}/*.parquet", _FINEWEB_FIELDS
        )
        for size in ("10BT", "100BT", "350BT")
    }


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        EMBEDDED: Preset(EMBEDDED),
        "datashop_dclm_annotation_subset": Preset(
            f"{_DCLM}/global-shard_01_of_10/local-shard_0_of_10/shard_0000000[0-3]_processed.jsonl.zst", _DCLM_FIELDS
        ),
        "datashop_dclm_pretraining_subset": Preset(f"{_DCLM}/global-shard_02_of_10/*/*.jsonl.zst", _DCLM_FIELDS),
        **_fineweb("fineweb"),
        **_fineweb("fineweb-edu"),
    }
)
datashop_dclm_annotation_subset = "datashop_dclm_annotation_subset"
datashop_dclm_pretraining_subset = "datashop_dclm_pretraining_subset"


def fields_of_preset(name: str) -> Mapping[str, str]:
    """The names of a preset's fields, where they are not the usual ones; empty for a URI."""
    return PRESETS[name].fields if name in PRESETS else {}


def resolve_uri(name: str) -> str:
    """The URI that a preset stands for; a URI, a glob or a path stands for itself.

    Raises `ValueError` for a bare word that is not a preset.
    """
    if name in PRESETS:
        return PRESETS[name].uri
    if any(mark in name for mark in "/\\:.*"):
        return name
    raise ValueError(f"{name!r} is not a dataset; use one of {', '.join(PRESETS)}, or a path, glob or URI")
