"""The YAML head of a card on a dataset hub: what the hub files a data set by."""

from collections.abc import Mapping
from typing import Any

import yaml

# The hub's size categories: the name, and the number of documents it goes up to.
SIZES = {
    "n<1K": 1_000,
    "1K<n<10K": 10_000,
    "10K<n<100K": 100_000,
    "100K<n<1M": 1_000_000,
    "1M<n<10M": 10_000_000,
    "10M<n<100M": 100_000_000,
    "100M<n<1B": 1_000_000_000,
    "1B<n<10B": 10_000_000_000,
}


def head(facts: Mapping[str, Any]) -> str:
    """The head with its fences. It claims no licence: that of a filtered pool is that of its documents."""
    prompt, kept = facts["prompt"], facts["stages"]["filtered_pool"]["metrics"]["kept_documents"]
    fields = {
        "pretty_name": prompt["name"],
        "task_categories": ["text-generation"],
        "tags": ["pretraining", "data-filtering", "datashop", prompt["slug"]],
        "size_categories": [size_category(kept)],
        "datashop": {
            "filtered_pool": facts["stages"]["filtered_pool"]["content_digest"],
            "annotator": prompt["annotator"]["model"],
            "encoder": prompt["encoder"].get("kind", ""),
            "kept_documents": kept,
            "kept_bytes": facts["stages"]["filtered_pool"]["metrics"]["kept_bytes"],
        },
    }
    return f"---\n{yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)}---"


def size_category(documents: int) -> str:
    return next((name for name, most in SIZES.items() if documents < most), "10B<n<100B")
