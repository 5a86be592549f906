"""The funnel: how many documents and tokens reach every stage, and what became of the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.results import TrainedLMResult

Inputs = Mapping[str, StageFolder]
SCORED = ("parsed", "repaired")


@dataclass(frozen=True)
class Step:
    """What is left after a step. `lost` are those that the step before had and this one has not, by reason.

    `documents` or `tokens` are None where nothing counts them.
    """

    stage: str
    what: str
    documents: int | None
    tokens: int | None = None
    lost: Mapping[str, int] = field(default_factory=dict)


def pool_funnel(inputs: Inputs) -> list[Step]:
    """From the rows of the files to what the candidate reads, in tokens of the pool's tokenizer.

    Tokens of what no model is trained on are bytes by the ratio that `pool_tokens` found. As many kept documents are
    drawn and checked as the candidate's seeds read, together.
    """
    ratio = inputs["pool_tokens"].metrics["bytes_per_token"]
    pool, kept = (inputs[name].metrics for name in ("pretraining_pool", "filtered_pool"))
    trained = TrainedLMResult.model_validate(inputs["trained_lm"].metrics)
    checked, below = trained.own.checked, kept["documents"] - kept["kept_documents"]
    heldout = kept["kept_documents"] - trained.kept_documents
    tokens, kept_tokens = (round(kept[name] / ratio) for name in ("bytes", "kept_bytes"))
    not_drawn = trained.kept_documents - checked.drawn
    return [
        Step("pretraining_pool", "rows in the files", pool["rows"]),
        Step("pretraining_pool", "documents", pool["documents"], tokens, dict(pool["rejects"])),
        Step("pool_scores", "scored by the encoder", inputs["pool_scores"].metrics["documents"], tokens),
        Step("filtered_pool", "kept", kept["kept_documents"], kept_tokens, {"below the cut": below}),
        Step("trained_lm", "kept, for training", trained.kept_documents, None, {"held out": heldout}),
        Step("trained_lm", "drawn for the candidate", checked.drawn, None, {"not drawn": not_drawn}),
        Step("trained_lm", "may be read", checked.documents, checked.tokens, checked.left_out),
        Step("trained_lm", "read by the candidate, per seed", None, trained.own.tokens_read),
    ]


def label_funnel(inputs: Inputs) -> list[Step]:
    """From the documents that may be annotated to the labels that the encoder learns from, in tokens that were read."""
    sample, answers, labels = (inputs[name].metrics for name in ("annotation_sample", "annotations", "training_set"))
    unscored = {status: count for status, count in answers["by_status"].items() if status not in SCORED}
    scored, near = answers["asked"] - sum(unscored.values()), sample["near_heldout"]
    passed_over = {"near a held-out document": near, "not drawn": sample["available"] - near - sample["documents"]}
    read = tokens_read(inputs["annotations"], inputs["training_set"])
    return [
        Step("annotation_sample", "could be drawn", sample["available"]),
        Step("annotation_sample", "drawn", sample["documents"], lost=passed_over),
        Step("annotations", "asked", answers["asked"], read["asked"], {"not asked": answers["not_drawn"]}),
        Step("annotations", "scored", scored, read["scored"], unscored),
        Step("training_set", "labels for the encoder", labels["documents"], read["labels"], labels["left_out"]),
    ]


def tokens_read(annotations: StageFolder, labels: StageFolder) -> dict[str, int]:
    """Tokens that the annotator read of documents `asked`, `scored`, and used as `labels`."""
    used = labels.table("training_set.parquet")["id"].unique()
    files = [annotations.file(shard.name) for shard in annotations.shards]
    rows = pl.concat([pl.read_parquet(file, columns=["id", "status", "tokens_in"]) for file in files])
    groups = {"asked": rows, "scored": rows.filter(pl.col("status").is_in(SCORED))}
    groups["labels"] = rows.filter(pl.col("id").is_in(used.implode()))
    return {name: int(group["tokens_in"].sum()) for name, group in groups.items()}
