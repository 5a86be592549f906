"""What a card says, as JSON: the prompt, what it was made with, how far each stage got, what was measured.

Whatever a stage counted is here as it counted it (`stages.<name>.metrics`), so a figure that a stage adds needs no
change of the card. Times and costs are apart, in `spending`: they are no part of the card's content digest.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.core.step import OpenRun
from datashop_assets.data_card.documents import Browsed
from datashop_assets.data_card.funnel import label_funnel, pool_funnel
from datashop_assets.data_card.samples import Samples
from datashop_assets.data_card.scan import Scan
from datashop_assets.data_card.spending import is_volatile
from datashop_assets.data_card.yields import yields
from datashop_assets.evaluation.results import EvaluationResult, read_measures
from datashop_assets.rubric.results import RubricResult, read_rubric
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.results import ControlLMResult, MatchedLMResult, TrainedLMResult


def facts(run: OpenRun, found: Scan, chosen: Samples, documents: Browsed) -> dict[str, Any]:
    """Everything but times and costs."""
    evaluation = run.input(EvaluationResult)
    compared = [measure.row() for measure in read_measures(evaluation)]
    return {
        "prompt": dict(run.config),
        "rubric": read_rubric(run.input(RubricResult)).model_dump(exclude_none=True),
        "models": models(run),
        "stages": {name: stage_facts(folder) for name, folder in run.inputs.items()},
        "funnels": {
            "pool": [asdict(step) for step in pool_funnel(run.inputs)],
            "labels": [asdict(step) for step in label_funnel(run.inputs)],
        },
        "encoder": report(run.inputs["encoder"]),
        "comparison": compared,
        "primary": evaluation.result.primary.row(),
        "matched": _matched(evaluation.result),
        "samples": chosen,
        "scores": found.cells.to_dict(as_series=False),
        "yields": yields(found.cells),
        "browsed": {"rows": len(documents.rows), "documents": documents.documents},
    }


def _matched(evaluation: EvaluationResult) -> Mapping[str, Any] | None:
    """Beside a primary measure against the plain control the same against the matched one; None where there is none."""
    primary = evaluation.primary
    measure = evaluation.measure("matched", primary.kind) if primary.against == "control" else None
    return None if measure is None else measure.row()


def models(run: OpenRun) -> list[dict[str, str]]:
    """What scored and what was trained: `role`, `model`, `revision`. What is made here has its content's digest."""
    answered = run.input(AnnotationsResult).result.answered_by
    assert answered is not None, "annotations are answered by an annotator"
    encoder, settings = run.config["encoder"], run.config["training"]
    start = encoder.get(encoder["kind"], {}).get("model")
    learned = f"{encoder['kind']} from {start}" if start else encoder["kind"]
    found = [
        {"role": "annotator", "model": answered.model, "revision": answered.revision},
        {"role": "encoder", "model": learned, "revision": run.inputs["encoder"].manifest.content_digest},
    ]
    begun = f", annealed from {settings['anneal_from']}" if settings["anneal_from"] else ""
    for output in (run.input(ControlLMResult), run.optional_input(MatchedLMResult), run.input(TrainedLMResult)):
        if output is not None:
            model = f"Llama of {output.result.models.parameters:,} weights{begun}"
            found.append({"role": output.result.step, "model": model, "revision": output.manifest.content_digest})
    return found


def report(folder: StageFolder) -> dict[str, Any]:
    """The encoder's own report; empty where an encoder wrote none."""
    if "report.json" not in {file.name for file in folder.manifest.files}:
        return {}
    return orjson.loads(folder.file("report.json").read_bytes())  # type: ignore[no-any-return]


def stage_facts(folder: StageFolder) -> dict[str, Any]:
    """What a stage is and what it measured, without its times and costs."""
    manifest = folder.manifest
    return {
        "plan_digest": manifest.plan_digest,
        "content_digest": manifest.content_digest,
        "code_version": manifest.code_version,
        "rows": manifest.rows,
        "metrics": {key: value for key, value in manifest.metrics.items() if not is_volatile(manifest.stage, key)},
    }
