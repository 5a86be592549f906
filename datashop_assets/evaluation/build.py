"""The comparison of candidate and controls on held-out documents: losses, intervals, and a report to read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.core.step import Metrics, OpenRun
from datashop_assets.evaluation.bits import document_bits
from datashop_assets.evaluation.heldout import Heldout, heldout_documents
from datashop_assets.evaluation.measures import COMPARISON, COMPARISON_SCHEMA, EVERY_SOURCE, measures
from datashop_assets.evaluation.report import report
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.export import model_folder, seeds_of
from datashop_assets.trained_lm.tokenizer import end_token
from datashop_assets.trained_lm.tokens import read_tokenizer

LOSSES = "losses.parquet"
REPORT = "report.md"
LOSSES_SCHEMA = {
    "seed": pl.Int32,
    "model": pl.String,
    "id": pl.String,
    "kind": pl.String,
    "source": pl.String,
    "bits": pl.Float64,
    "bytes": pl.Int64,
}
Bits = Mapping[str, np.ndarray]  # [S, N] by model


def build(run: OpenRun) -> Metrics:
    """Writes losses by document, seed and model, the comparison by kind and source, and the report."""
    models = _models(run)
    seeds = _seeds(models)
    documents, bits = _bits(run, models, seeds)
    rows = measures(bits, documents, run.config["primary"])
    facts = _facts(run, models, seeds)
    run.output.write_rows(LOSSES, _loss_rows(bits, documents, seeds), LOSSES_SCHEMA)
    run.output.write_rows(COMPARISON, rows, COMPARISON_SCHEMA, beside=True)
    run.output.put_bytes(REPORT, report(rows, facts).encode())
    return {**_metrics(rows), **facts}


def _models(run: OpenRun) -> dict[str, StageFolder]:
    """The trained models by name: the candidate, its control, and the matched one where it was asked for."""
    named = {"control": "control_lm", "matched": "matched_lm", "trained": "trained_lm"}
    found = {name: run.inputs[stage] for name, stage in named.items()}
    return {name: folder for name, folder in found.items() if folder.metrics.get("status") != "not asked"}


def _bits(run: OpenRun, models: Mapping[str, StageFolder], seeds: Sequence[int]) -> tuple[list[Heldout], Bits]:
    tokenizer, separator = read_tokenizer(run.inputs["pool_tokens"])
    documents = list(heldout_documents(run.inputs["evaluation_targets"], run.inputs["pool_tokens"], tokenizer))
    folders = [model_folder(folder, seed) for folder in models.values() for seed in seeds]
    length = models["trained"].manifest.config["length"]
    with run.resources.progress.bar("evaluating language models", len(folders), "models") as bar:
        texts = [document.tokens for document in documents]
        bits = document_bits(folders, texts, end_token(tokenizer, separator), bar.advance, length=length)
    parts = np.split(bits, len(models))
    return documents, dict(zip(models, parts, strict=True))


def _seeds(models: Mapping[str, StageFolder]) -> list[int]:
    """The seeds of all. Raises `ValueError` where they are not the same."""
    found = {name: seeds_of(folder) for name, folder in models.items()}
    if any(seeds != found["trained"] for seeds in found.values()) or not found["trained"]:
        raise ValueError(f"the models do not have the same seeds: {found}; train all with the same settings")
    return found["trained"]


def _loss_rows(bits: Bits, documents: Sequence[Heldout], seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    for model, found in bits.items():
        for seed, row in zip(seeds, found, strict=True):
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


def _facts(run: OpenRun, models: Mapping[str, StageFolder], seeds: Sequence[int]) -> Metrics:
    trained = run.inputs["trained_lm"].metrics
    return {
        "seeds": len(seeds),
        "filtered_epochs": trained["filtered_epochs"],
        "matched_epochs": models["matched"].metrics["matched_epochs"] if "matched" in models else None,
        "tokens": trained["tokens"],
        "parameters": trained["parameters"],
        "training_seconds": {name: folder.metrics["training_seconds"] for name, folder in models.items()},
        "training_flops": sum(folder.metrics["training_flops"] * len(seeds) for folder in models.values()),
        "primary": dict(run.config["primary"]),
        "targets_from": run.inputs["evaluation_targets"].metrics["targets_from"],
    }


def _metrics(rows: Sequence[dict[str, Any]]) -> Metrics:
    metrics: Metrics = {}
    for row in rows:
        if row["source"] == EVERY_SOURCE:
            prefix = "" if row["against"] == "control" else f"{row['against']}_"
            metrics[f"{prefix}{row['kind']}_bpb_difference"] = row["difference"]
            metrics[f"{prefix}{row['kind']}_bpb_difference_low"] = row["low"]
            metrics[f"{prefix}{row['kind']}_bpb_difference_high"] = row["high"]
            metrics[f"{prefix}{row['kind']}_verdict"] = row["verdict"]
            metrics[f"{row['against']}_{row['kind']}_bpb"] = row["control"]
            metrics[f"trained_{row['kind']}_bpb"] = row["trained"]
    [primary] = [row for row in rows if row["primary"]]
    return {**metrics, "verdict": primary["verdict"]}
