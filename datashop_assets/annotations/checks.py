"""The gates as checks of `annotations`. Which of them stop a run, and at what figure, is said in the prompt file.

A check whose gate does not block for the prompt's way of scoring warns instead.
"""

from datashop_assets.core.step import Check, CheckContext, CheckResult
from datashop_assets.prompts.annotator_settings import BLOCKING, Gate

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


def gate_check(gate: Gate) -> Check:
    """The check for one gate."""
    always = ", ".join(scoring for scoring, gates in BLOCKING.items() if gate in gates) or "no way of scoring"
    said = f"{LOOK_AT[gate]} Stops a run by default for: {always}. Thresholds: `annotator.gates` in the prompt file."

    def evaluate(context: CheckContext) -> CheckResult:
        from datashop_assets.annotations.describe import replies_table
        from datashop_assets.annotations.passing import documents_of, judged_gate

        judged, stops = judged_gate(gate, context.prompt.annotator, context.output)
        failed = not judged.passed and len(judged.look_at) > 0
        return CheckResult(
            passed=judged.passed,
            blocks=stops,
            description=judged.says,
            figures=judged.figures,
            sample=replies_table(list(documents_of(judged, context.output))) if failed else "",
        )

    return Check(
        gate,
        said,
        evaluate,
        blocking=True,
        settings=lambda prompt: [prompt.annotator.scoring, prompt.annotator.gates.model_dump(mode="json")],
    )


def answered_by_one_server(context: CheckContext) -> CheckResult:
    from datashop_assets.annotations.metrics import servers_of

    servers = servers_of(context.output.metrics)
    return CheckResult(passed=len(servers) < 2, description=f"servers: {', '.join(servers) or 'none says what it is'}")


ANNOTATION_CHECKS = (
    *(gate_check(gate) for gate in LOOK_AT),
    Check(
        "answered_by_one_server",
        "All answers are of servers that say they are the same (`system_fingerprint`: version, model, options). If "
        "not, and the model's revision changed, name it as `annotator.revision`: that asks anew.",
        answered_by_one_server,
    ),
)
