"""The gates as asset checks. Which of them stop a run, and at what figure, is said in the prompt file.

A check whose gate does not block for the prompt's way of scoring warns instead, so Dagster lets the run go on.
"""

from typing import TYPE_CHECKING

import dagster as dg

from datashop_assets.annotations.describe import replies_table
from datashop_assets.annotations.metrics import servers_of
from datashop_assets.annotations.stage import ANNOTATIONS
from datashop_assets.dagster_door.checking import judge_prompts, outputs_of
from datashop_assets.prompts.gates import BLOCKING, Gate
from datashop_assets.prompts.store import PromptStore
from datashop_assets.storage.stage_folder import StageFolder

if TYPE_CHECKING:
    from datashop_assets.annotations.gates import Judged

LOOK_AT: dict[Gate, str] = {
    "coverage": "Nearly every asked document has a score. If not, look at `reason` of the documents shown: failed "
    "calls are asked again by the next run, refusals need another rubric or model.",
    "unparsed_share": "Few replies hold no score. If many do, look at `raw` of the documents shown and at the end of "
    "the rubric, which must say how the score is written; another processor reads the same replies for nothing.",
    "longest_decile_kept": "The longest documents got scores too. If not, look at `reason` of the documents shown: "
    "read fewer characters, or serve the model with a longer context.",
    "both_ends_used": "Some documents score low and some high. If not, look at the scores of the documents shown: "
    "the rubric does not tell them apart, or the sample holds none of one kind.",
    "length_score_band": "Within a source, length alone does not decide the score. If it does, look at the shortest "
    "and longest documents shown: too little is read of long ones, or the rubric rewards length.",
    "spread_within_sources": "Within a source, scores differ. If not, look at the documents shown: the annotator "
    "judges by where a text comes from, or the source holds one kind only.",
}


def gate_check(gate: Gate) -> dg.AssetChecksDefinition:
    """The check for one gate."""
    always = ", ".join(scoring for scoring, gates in BLOCKING.items() if gate in gates) or "no way of scoring"
    said = f"{LOOK_AT[gate]} Stops a run by default for: {always}. Thresholds: `annotator.gates` in the prompt file."

    @dg.asset_check(asset=ANNOTATIONS.name, name=gate, blocking=True, description=said)
    def check(context: dg.AssetCheckExecutionContext, prompts: dg.ResourceParam[PromptStore]) -> dg.AssetCheckResult:
        return judge_prompts(context, prompts, ANNOTATIONS, lambda slug: _judged(gate, slug, prompts))

    return check


@dg.asset_check(
    asset=ANNOTATIONS.name,
    name="answered_by_one_server",
    description="All answers are of servers that say they are the same (`system_fingerprint`: version, model, options)."
    " If not, and the model's revision changed, name it as `annotator.revision`: that asks anew.",
)
def answered_by_one_server(
    context: dg.AssetCheckExecutionContext, prompts: dg.ResourceParam[PromptStore]
) -> dg.AssetCheckResult:
    def judge(slug: str) -> dg.AssetCheckResult:
        servers = servers_of(outputs_of(slug, prompts, ANNOTATIONS.name)[0].metrics)
        said = f"servers: {', '.join(servers) or 'none says what it is'}"
        return dg.AssetCheckResult(passed=len(servers) < 2, severity=dg.AssetCheckSeverity.WARN, description=said)

    return judge_prompts(context, prompts, ANNOTATIONS, judge)


ANNOTATION_CHECKS = [*(gate_check(gate) for gate in LOOK_AT), answered_by_one_server]


def _judged(gate: Gate, slug: str, prompts: PromptStore) -> dg.AssetCheckResult:
    from datashop_assets.annotations.passing import judged_gate

    (annotations,) = outputs_of(slug, prompts, ANNOTATIONS.name)
    judged, stops = judged_gate(gate, prompts.load(slug).annotator, annotations)
    return dg.AssetCheckResult(
        passed=judged.passed,
        severity=dg.AssetCheckSeverity.ERROR if stops else dg.AssetCheckSeverity.WARN,
        description=judged.says,
        metadata={**judged.figures, "stops_a_run": stops, **_documents(judged, annotations)},
    )


def _documents(judged: "Judged", annotations: StageFolder) -> dict[str, dg.MetadataValue]:
    from datashop_assets.annotations.passing import documents_of

    if judged.passed or not len(judged.look_at):
        return {}
    return {"look_at": dg.MetadataValue.md(replies_table(list(documents_of(judged, annotations))))}
