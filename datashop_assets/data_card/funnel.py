"""The funnel: how many documents and tokens reach every stage, and what became of the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from datashop_assets.storage.stage_folder import StageFolder

Inputs = Mapping[str, StageFolder]


@dataclass(frozen=True)
class Step:
    """What is left after a step. `lost` are those that the step before had and this one has not, by reason."""

    stage: str
    what: str
    documents: int
    tokens: int | None = None
    lost: Mapping[str, int] = field(default_factory=dict)


def pool_funnel(inputs: Inputs) -> list[Step]:
    """From the rows of the files to what the language model may read."""
    pool, kept, trained = (inputs[name].metrics for name in ("pretraining_pool", "filtered_pool", "trained_lm"))
    splits, below = kept["by_split"], kept["documents"] - kept["kept_documents"]
    training = splits.get("train", {"kept_documents": 0, "kept_tokens": 0})
    held = {
        f"kept, and {name.replace('_', ' ')}: never trained on": counts["kept_documents"]
        for name, counts in splits.items()
        if name != "train"
    }
    return [
        Step("pretraining_pool", "rows in the files", pool["rows"]),
        Step("pretraining_pool", "documents", pool["documents"], kept["tokens"], dict(pool["rejects"])),
        Step("pool_scores", "scored by the encoder", inputs["pool_scores"].metrics["documents"], kept["tokens"]),
        Step("filtered_pool", "kept", kept["kept_documents"], kept["kept_tokens"], {"below the cut": below}),
        Step("trained_lm", "kept, for training", training["kept_documents"], training["kept_tokens"], held),
        *_read(trained),
    ]


def label_funnel(inputs: Inputs) -> list[Step]:
    """From the documents that may be annotated to the labels that the encoder learns from."""
    sample, answers, labels = (inputs[name].metrics for name in ("annotation_sample", "annotations", "training_set"))
    not_drawn = sample["available"] - sample["documents"]
    by_status: Mapping[str, int] = answers["by_status"]
    scored = sum(count for status, count in by_status.items() if status in ("parsed", "repaired"))
    unscored = {status: count for status, count in by_status.items() if status not in ("parsed", "repaired")}
    return [
        Step("annotation_sample", "could be drawn", sample["available"]),
        Step("annotation_sample", "drawn", sample["documents"], lost={"not drawn": not_drawn}),
        Step("annotations", "asked", answers["asked"], lost={"not asked": answers["not_drawn"]}),
        Step("annotations", "scored", scored, answers.get("tokens_in"), unscored),
        Step("training_set", "labels for the encoder", labels["documents"], lost=labels["left_out"]),
    ]


def _read(trained: Mapping[str, Any]) -> list[Step]:
    """What one seed of the candidate reads of the kept documents."""
    tokens = trained.get("filtered_tokens_read")
    return [] if tokens is None else [Step("trained_lm", "read by the candidate, a seed", 0, tokens)]
