"""What the UI shows of tokens, of what is left out of training, and of trained models."""

import base64
from collections.abc import Mapping

import polars as pl

from datashop_assets.markdown import escaped
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.curve import CURVE, PLOT

SHOWN = 8  # overlaps


def describe(folder: StageFolder) -> Mapping[str, str]:
    """Title -> markdown, for any of this room's stages."""
    match folder.manifest.stage:
        case "pool_tokens":
            return {"tokens by split": _splits(folder)}
        case "decontamination":
            return {"left out of training": _left_out(folder), "some overlaps": _overlaps(folder)}
    if folder.metrics.get("status") == "not asked":
        return {"not asked": "The prompt file says `training.matched_control: false`."}
    return {"loss by seed": _losses(folder), "training": _picture(folder)}


def _splits(folder: StageFolder) -> str:
    documents, tokens = folder.metrics["documents"], folder.metrics["tokens"]
    lines = [f"| {split} | {documents[split]:,} | {tokens[split]:,} |" for split in documents]
    return "\n".join(["| split | documents | tokens |", "| --- | --- | --- |", *lines])


def _left_out(folder: StageFolder) -> str:
    found = folder.metrics
    lines = [f"| {escaped(name)} | {count:,} |" for name, count in found["left_out_by_source"].items()]
    size = folder.manifest.config["ngram"]
    words = (
        f"{found['left_out']:,} training documents share a run of {size} words, or all words of a shorter text, with "
        f"one of {found['evaluation_documents']:,} evaluation documents, and are trained on by no model."
    )
    if found["named_too_short"]:
        words += f" {found['named_too_short']:,} of the prompt's own evaluation documents are too short to look for."
    return "\n".join([words, "", "| source | documents |", "| --- | --- |", *lines])


def _overlaps(folder: StageFolder) -> str:
    rows = folder.table().sort("shared", descending=True).head(SHOWN).to_dicts()
    lines = [
        f"| {escaped(row['id'])} | {row['shared']} of {row['ngrams']} | {escaped(row['evaluation_id'])} | "
        f"{escaped(row['example'])} |"
        for row in rows
    ]
    head = "| document | runs shared | evaluation document | the first one |"
    return "\n".join([head, "| --- | --- | --- | --- |", *lines])


def _losses(folder: StageFolder) -> str:
    curve = folder.table(CURVE).sort("seed", "step")
    table = curve.group_by("seed", maintain_order=True).agg(
        pl.col("loss").first().alias("first"), pl.col("loss").tail(max(1, curve["step"].n_unique() // 20)).mean()
    )
    lines = [f"| {seed} | {first:.3f} | {last:.3f} |" for seed, first, last in table.iter_rows()]
    return "\n".join(["| seed | first step, nats a token | last twentieth |", "| --- | --- | --- |", *lines])


def _picture(folder: StageFolder) -> str:
    picture = base64.b64encode(folder.file(PLOT).read_bytes()).decode()
    return f"![loss, learning rate, tokens a second and MFU by step](data:image/png;base64,{picture})"
