"""The comparison of candidate and control on held-out documents: losses, intervals, and a report to read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from tokenizers import Tokenizer

from datashop_assets.evaluation.bits import document_bits
from datashop_assets.evaluation.compare import Comparison, Losses, compare
from datashop_assets.evaluation.report import report
from datashop_assets.evaluation.targets import TARGETS, Kind
from datashop_assets.stage import Metrics, StageTask
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.tokenizer import encode, end_token
from datashop_assets.trained_lm.tokens import TOKENIZER

LOSSES = "losses.parquet"
COMPARISON = "comparison.parquet"
REPORT = "report.md"
EVERY_SOURCE = ""
MODELS = ("control", "trained")
LOSSES_SCHEMA = {
    "seed": pl.Int32,
    "model": pl.String,
    "id": pl.String,
    "kind": pl.String,
    "source": pl.String,
    "bits": pl.Float64,
    "bytes": pl.Int64,
}
COMPARISON_SCHEMA = {
    "kind": pl.String,
    "source": pl.String,  # empty: all of the kind
    "documents": pl.Int64,
    "bytes": pl.Int64,
    "control": pl.Float64,
    "trained": pl.Float64,
    "difference": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "documents_low": pl.Float64,
    "documents_high": pl.Float64,
    "verdict": pl.String,
}


@dataclass(frozen=True, slots=True)
class Heldout:
    """A document that the comparison is measured on."""

    id: str
    kind: str
    source: str
    bytes: int
    tokens: np.ndarray


def build(task: StageTask) -> Metrics:
    """Writes losses by document, seed and model, the comparison by kind and source, and the report."""
    tokenizer = Tokenizer.from_file(str(task.inputs["pool_tokens"].file(TOKENIZER)))
    documents = list(_documents(task.inputs["evaluation_targets"], task.inputs["pool_tokens"], tokenizer))
    seeds = _seeds(task.inputs["control_lm"], task.inputs["trained_lm"])
    folders = [_model(task.inputs[f"{model}_lm"], seed) for model in MODELS for seed in seeds]
    with task.tools.progress.bar("evaluating language models", len(folders), "models") as bar:
        bits = document_bits(folders, [document.tokens for document in documents], end_token(tokenizer), bar.advance)
    losses = Losses(bits[: len(seeds)], bits[len(seeds) :], np.array([document.bytes for document in documents]))
    compared = list(_compared(losses, documents))
    task.output.write_rows(LOSSES, _loss_rows(losses, documents, seeds), LOSSES_SCHEMA)
    task.output.write_rows(COMPARISON, (_row(*each) for each in compared), COMPARISON_SCHEMA, beside=True)
    facts = _facts(task, seeds)
    rows = [_row(*each) for each in compared]
    task.output.put_bytes(REPORT, report(rows, facts).encode())
    return {**_metrics(rows), **facts}


def _documents(targets: StageFolder, tokens: StageFolder, tokenizer: Tokenizer) -> Iterator[Heldout]:
    chosen = targets.table(TARGETS)
    given = chosen.filter(pl.col("text").is_not_null())
    texts = given["text"].to_list()
    for row, encoded in zip(given.iter_rows(named=True), encode(tokenizer, texts), strict=True):
        yield Heldout(row["id"], row["kind"], row["source"], len(row["text"].encode()), encoded)
    pooled = chosen.filter(pl.col("text").is_null())
    for (shard,), part in pooled.group_by("shard", maintain_order=True):
        found = tokens.table(f"{shard}.parquet").select("row", "bytes", "tokens")
        joined = part.join(found, on="row", how="inner", maintain_order="left")
        if len(joined) < len(part):
            raise ValueError(f"pool_tokens has not all target documents of shard {shard}; make pool_tokens again")
        for row in joined.iter_rows(named=True):
            yield Heldout(row["id"], row["kind"], row["source"], row["bytes"], np.array(row["tokens"], dtype=np.int32))


def _seeds(control: StageFolder, trained: StageFolder) -> list[int]:
    """The seeds of both. Raises `ValueError` where they are not the same."""
    found = [
        sorted(int(file.name[5:-18]) for file in folder.manifest.files if file.name.endswith("/model.safetensors"))
        for folder in (control, trained)
    ]
    if found[0] != found[1] or not found[0]:
        raise ValueError(f"control_lm has seeds {found[0]}, trained_lm {found[1]}; train both with the same settings")
    return found[0]


def _model(folder: StageFolder, seed: int) -> Path:
    """A local folder with one seed's model, every file checked."""
    return folder.files(f"seed-{seed}/")[f"seed-{seed}/config.json"].parent


def _compared(losses: Losses, documents: Sequence[Heldout]) -> Iterator[tuple[str, str, Comparison]]:
    kinds = np.array([document.kind for document in documents])
    sources = np.array([document.source for document in documents])
    for kind in Kind:
        if (kinds == kind).any():
            yield kind, EVERY_SOURCE, compare(losses.of(kinds == kind))
            for source in sorted(set(sources[kinds == kind])):
                yield kind, source, compare(losses.of((kinds == kind) & (sources == source)))


def _loss_rows(losses: Losses, documents: Sequence[Heldout], seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    for model, bits in zip(MODELS, (losses.control, losses.trained), strict=True):
        for seed, row in zip(seeds, bits, strict=True):
            for document, total in zip(documents, row.tolist(), strict=True):
                yield {
                    "seed": seed,
                    "model": model,
                    "id": document.id,
                    "kind": document.kind,
                    "source": document.source,
                    "bits": total,
                    "bytes": document.bytes,
                }


def _row(kind: str, source: str, found: Comparison) -> dict[str, Any]:
    return {
        "kind": kind,
        "source": source,
        "documents": found.documents,
        "bytes": found.bytes,
        "control": found.control,
        "trained": found.trained,
        "difference": found.over_seeds.estimate,
        "low": found.over_seeds.low,
        "high": found.over_seeds.high,
        "documents_low": found.over_documents.low,
        "documents_high": found.over_documents.high,
        "verdict": str(found.verdict),
    }


def _facts(task: StageTask, seeds: Sequence[int]) -> Metrics:
    trained = task.inputs["trained_lm"].metrics
    return {
        "seeds": len(seeds),
        "filtered_epochs": trained["filtered_epochs"],
        "tokens": trained["tokens"],
        "parameters": trained["parameters"],
        "targets_from": task.inputs["evaluation_targets"].metrics["targets_from"],
    }


def _metrics(rows: Sequence[dict[str, Any]]) -> Metrics:
    metrics: Metrics = {}
    for row in rows:
        if row["source"] == EVERY_SOURCE:
            metrics[f"{row['kind']}_bpb_difference"] = row["difference"]
            metrics[f"{row['kind']}_bpb_difference_low"] = row["low"]
            metrics[f"{row['kind']}_bpb_difference_high"] = row["high"]
            metrics[f"control_{row['kind']}_bpb"] = row["control"]
            metrics[f"trained_{row['kind']}_bpb"] = row["trained"]
    verdicts = {row["kind"]: row["verdict"] for row in rows if row["source"] == EVERY_SOURCE}
    return {**metrics, "verdict": verdicts[Kind.TARGET]}
