"""What a card says, as JSON: the prompt, what it was made with, how far each stage got, what was measured.

Whatever a stage counted is here as it counted it (`stages.<name>.metrics`), so a figure that a stage adds needs no
change of the card. Times and costs are apart: they are no part of the card's content digest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from datashop_assets.data_card.documents import Browsed
from datashop_assets.data_card.funnel import label_funnel, pool_funnel
from datashop_assets.data_card.samples import Samples
from datashop_assets.data_card.scan import Scan
from datashop_assets.stage import StageTask
from datashop_assets.storage.stage_folder import StageFolder

# What a stage measures of its own running, or of a machine.
VOLATILE = ("seconds", "cost", "price", "usd", "per_second", "tokens_per", "utilization", "mfu", "memory")


def facts(task: StageTask, found: Scan, chosen: Samples, documents: Browsed) -> dict[str, Any]:
    """Everything but times and costs."""
    compared = task.inputs["evaluation"].table("comparison.parquet").to_dicts()
    return {
        "prompt": dict(task.config),
        "rubric": rubric(task.inputs["rubric"]),
        "stages": {name: _stage(folder) for name, folder in task.inputs.items()},
        "funnels": {
            "pool": [asdict(step) for step in pool_funnel(task.inputs)],
            "labels": [asdict(step) for step in label_funnel(task.inputs)],
        },
        "encoder": report(task.inputs["encoder"]),
        "comparison": compared,
        "primary": primary(compared),
        "samples": chosen,
        "scores": found.cells.to_dict(as_series=False),
        "browsed": {"rows": len(documents.rows), "documents": documents.documents},
    }


def primary(compared: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The one measure that the verdict goes by; where none is named, the first: all target documents."""
    return next((row for row in compared if row.get("primary")), compared[0])


def costs(inputs: Mapping[str, StageFolder]) -> dict[str, Any]:
    """Stage -> when it was made, how long it took, on what; and whatever figures of time and cost it wrote."""
    return {
        name: {
            "seconds": folder.manifest.seconds,
            "finished_at": folder.manifest.finished_at,
            "machine": folder.manifest.machine,
            "versions": folder.manifest.versions,
            "metrics": {key: value for key, value in folder.metrics.items() if is_volatile(key)},
        }
        for name, folder in inputs.items()
    }


def rubric(folder: StageFolder) -> dict[str, Any]:
    return orjson.loads(folder.file("rubric.json").read_bytes())  # type: ignore[no-any-return]


def report(folder: StageFolder) -> dict[str, Any]:
    """The encoder's own report; empty where an encoder wrote none."""
    if "report.json" not in {file.name for file in folder.manifest.files}:
        return {}
    return orjson.loads(folder.file("report.json").read_bytes())  # type: ignore[no-any-return]


def is_volatile(name: str) -> bool:
    return any(part in name for part in VOLATILE)


def _stage(folder: StageFolder) -> dict[str, Any]:
    manifest = folder.manifest
    return {
        "plan_digest": manifest.plan_digest,
        "content_digest": manifest.content_digest,
        "code_version": manifest.code_version,
        "rows": manifest.rows,
        "metrics": {key: value for key, value in manifest.metrics.items() if not is_volatile(key)},
    }
