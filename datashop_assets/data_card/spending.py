"""What every stage took, and beside it what `datashop estimate` had said it would take."""

from collections.abc import Mapping
from typing import Any

import orjson

from datashop_assets.core.step import OpenRun
from datashop_assets.costs import ESTIMATE_FILE, HOUR, seconds_spent
from datashop_assets.data_card.results import CARD_INPUTS
from datashop_assets.storage.root import Root
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.results import TrainedModels

VOLATILE = {result.step: result.volatile for result in CARD_INPUTS}


def is_volatile(stage: str, metric: str) -> bool:
    """Whether a step declares that a metric tells of one run or machine, and not of what was made."""
    return metric in VOLATILE[stage]


def spending(run: OpenRun) -> dict[str, Any]:
    """`{"currency": ..., "stages": {name: {...}}}`: seconds, tokens and money of each stage, as estimated and as spent;
    when it was made, on what, and whatever figures of time and cost it wrote. `currency` is None without an estimate.
    """
    said = _estimate(run)
    stages = {name: _stage(folder, said["stages"].get(name)) for name, folder in run.inputs.items()}
    return {"currency": said["currency"], "stages": stages}


def _stage(folder: StageFolder, line: Mapping[str, Any] | None) -> dict[str, Any]:
    """An estimate made when the stage was there already says nothing of what it would take."""
    manifest, metrics = folder.manifest, folder.metrics
    estimated = line if line is not None and line["state"] != "current" else None
    seconds = seconds_spent(folder)
    return {
        "seconds": seconds,
        "tokens": _tokens(metrics),
        "money": estimated and seconds / HOUR * estimated.get("price_per_hour", 0.0),
        "estimated": estimated and {name: estimated[name] for name in ("hours", "tokens", "money")},
        "finished_at": manifest.finished_at,
        "machine": manifest.machine,
        "versions": manifest.versions,
        "metrics": {key: value for key, value in metrics.items() if is_volatile(manifest.stage, key)},
    }


def _tokens(metrics: Mapping[str, Any]) -> int | None:
    """What an annotator read and wrote, or what language models of all seeds were trained on."""
    if "models" in metrics:
        models = TrainedModels.model_validate(metrics["models"])
        return models.tokens * models.seeds
    return sum(metrics.get(name) or 0 for name in ("tokens_in", "tokens_out")) or None


def _estimate(run: OpenRun) -> dict[str, Any]:
    """The last estimate of this prompt under this root."""
    root, stages, _ = run.output.folder.uri.rpartition("/stages/")
    folder = Root(root).prompt(run.config["slug"]) if stages else None
    if folder is None or not folder.exists(ESTIMATE_FILE):
        return {"currency": None, "stages": {}}
    found: dict[str, Any] = orjson.loads(folder.read(ESTIMATE_FILE))
    return found
