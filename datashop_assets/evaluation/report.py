"""The comparison in words and one table, with what it is conditional on; and what the UI shows of this package."""

from collections.abc import Mapping, Sequence

from datashop_assets.core.step import StepOutput
from datashop_assets.evaluation.results import (
    CONTROLS,
    REPORT,
    TARGETS,
    EvaluationResult,
    EvaluationTargetsResult,
    Measure,
    Origin,
    SensitivityResult,
    Verdict,
    read_measures,
)
from datashop_assets.markdown import escaped

SIGNED = "+.3f"
SHOWN = 8  # documents of a kind
HEAD = (
    "against",
    "documents",
    "source",
    "number",
    "control, bits/byte",
    "trained, bits/byte",
    "difference",
    "95% over seeds",
    "95% over documents, these models",
    "p, corrected",
    "verdict",
)
ORIGINS: Mapping[Origin, str] = {
    "given": "The target documents were named by the prompt. Texts that stand in the pool's training part were left "
    "out where they are exactly the same; near duplicates of them were not looked for.",
    "gold": "The target documents are held-out documents of the pool with the prompt's gold labels. No model chose "
    "them.",
    "annotator": "The target documents are held-out documents that the annotator itself scored high. **This is "
    "circular**: the measure prefers what the annotator prefers. Name `evaluation.targets` for an independent one.",
}


def report(measures: Sequence[Measure], result: EvaluationResult) -> str:
    """Markdown, for a person who decides whether to use the filtered pool. `measures` are all, those by source too."""
    primary = result.primary
    others = [one for one in result.measures if one.kind == primary.kind and not one.primary]
    headline = " ".join((_sentence(primary), *(f"Reservation: {one}." for one in result.reservations)))
    sentences = (f"**{headline}**", *map(_sentence, others))
    return "\n\n".join((*sentences, table(measures), *_conditions(result))) + "\n"


def table(measures: Sequence[Measure]) -> str:
    """One line for all documents of a kind, and one for each source in it."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    for one in measures:
        cells = (
            one.against,
            one.kind,
            escaped(one.source) or "all",
            str(one.documents),
            f"{one.control:.3f}",
            f"{one.trained:.3f}",
            f"{one.difference.value:{SIGNED}}",
            one.difference.interval(SIGNED),
            one.over_documents.interval(SIGNED),
            "primary" if one.primary else "none" if one.p_corrected is None else f"{one.p_corrected:.3f}",
            one.verdict,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _sentence(one: Measure) -> str:
    change = f"{one.difference.value:{SIGNED}} bits per byte on {one.documents} held-out {one.kind} documents"
    other = CONTROLS[one.against]
    if one.difference.low is None:
        return f"Candidate minus {other}: {change}, from one seed, which has no interval. Train two or more."
    seeds = f"95% interval {one.difference.interval(SIGNED)} over {one.difference.n} seeds"
    than = "from" if one.verdict == Verdict.SAME else "than"
    kind = "primary measure" if one.primary else f"corrected p {one.p_corrected:.3f}"
    return f"The candidate is {one.verdict} {than} {other}: {change}, {seeds} ({kind})."


def _conditions(result: EvaluationResult) -> tuple[str, ...]:
    return (
        "Differences are trained minus control in total bits over total bytes: below zero is better. The verdict goes "
        "by seeds: the primary measure by its interval (Student's t on paired seeds); the same documents against the "
        "other control at the same level, once the primary measure found a difference; all others by p values that are "
        "corrected together (Holm). The interval over documents resamples documents under these very models and is too "
        "narrow to judge the recipe by.",
        "All of it is conditional on this annotator, this encoder and this filtered pool: none of them was made anew "
        "by seed.",
        _matched(result),
        f"The candidate went {result.filtered_epochs:.2f} times through the filtered documents that it may train "
        f"on. Every model has {result.parameters:,} weights and was trained on {result.tokens:,} tokens; all "
        f"seeds of all models together took {result.training_flops:.3g} floating-point operations.",
        ORIGINS[result.targets_from],
    )


def _matched(result: EvaluationResult) -> str:
    if result.matched_epochs is None:
        return (
            "The mix of sources is part of the effect: the plain control has another one, and no matched control was "
            "asked for."
        )
    return (
        "The plain control reads more of the pool where the candidate reads kept documents, so that the mix of sources "
        "and lengths is part of the effect. The matched control reads documents drawn at random with the mix of the "
        f"kept ones, {result.matched_epochs:.2f} times: what remains against it is the rubric's own."
    )


def describe_evaluation(output: StepOutput[EvaluationResult]) -> Mapping[str, str]:
    """Title -> Markdown."""
    return {"comparison": table(read_measures(output)), "report": output.file(REPORT).read_text()}


def describe_sensitivity(output: StepOutput[SensitivityResult]) -> Mapping[str, str]:
    """Title -> Markdown."""
    return {"where the rates disagree": output.file(REPORT).read_text()}


def describe_targets(output: StepOutput[EvaluationTargetsResult]) -> Mapping[str, str]:
    """Title -> Markdown."""
    counts = [
        f"| {kind}: {escaped(source)} | {count} |"
        for kind, sources in output.result.by_source.items()
        for source, count in sources.items()
    ]
    rows = output.table(TARGETS).group_by("kind", maintain_order=True).head(SHOWN).to_dicts()
    examples = [f"| {row['kind']} | {escaped(row['id'])} | {escaped(row['source'])} |" for row in rows]
    return {
        "documents by kind and source": "\n".join(["| kind: source | documents |", "| --- | --- |", *counts]),
        "some documents": "\n".join(["| kind | id | source |", "| --- | --- | --- |", *examples]),
    }
