"""The comparison in words and one table, with what it is conditional on."""

from collections.abc import Mapping, Sequence
from typing import Any

from datashop_assets.evaluation.compare import Verdict
from datashop_assets.markdown import escaped
from datashop_assets.statistics.figure import Figure

SIGNED = "+.3f"
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
ORIGINS = {
    "given": "The target documents were named by the prompt. Texts that stand in the pool's training part were left "
    "out where they are exactly the same; near duplicates of them were not looked for.",
    "gold": "The target documents are held-out documents of the pool with the prompt's gold labels. No model chose "
    "them.",
    "annotator": "The target documents are held-out documents that the annotator itself scored high. **This is "
    "circular**: the measure prefers what the annotator prefers. Name `evaluation.targets` for an independent one.",
}


def report(rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> str:
    """Markdown, for a person who decides whether to use the filtered pool."""
    primary = next(row for row in rows if row["primary"])
    others = [row for row in rows if row["kind"] == primary["kind"] and not row["source"] and not row["primary"]]
    sentences = (f"**{_sentence(primary, facts)}**", *(_sentence(row, facts) for row in others))
    return "\n\n".join((*sentences, table(rows), *_conditions(facts))) + "\n"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line for all documents of a kind, and one for each source in it."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    for row in rows:
        cells = (
            row["against"],
            row["kind"],
            escaped(row["source"]) or "all",
            str(row["documents"]),
            f"{row['control']:.3f}",
            f"{row['trained']:.3f}",
            f"{row['difference']:+.3f}",
            _over_seeds(row).interval(SIGNED),
            _over_documents(row).interval(SIGNED),
            "primary" if row["primary"] else "none" if row["p_corrected"] is None else f"{row['p_corrected']:.3f}",
            row["verdict"],
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _sentence(row: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    change = f"{row['difference']:+.3f} bits per byte on held-out {row['kind']} documents"
    other = {"control": "the plain control", "matched": "the matched control"}[row["against"]]
    if row["low"] is None:
        return f"Candidate minus {other}: {change}, from one seed, which has no interval. Train two or more."
    seeds = f"95% interval {_over_seeds(row).interval(SIGNED)} over {facts['seeds']} seeds"
    than = "from" if row["verdict"] == Verdict.SAME else "than"
    kind = "primary measure" if row["primary"] else f"corrected p {row['p_corrected']:.3f}"
    return f"The candidate is {row['verdict']} {than} {other}: {change}, {seeds} ({kind})."


def _conditions(facts: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        "Differences are trained minus control in total bits over total bytes: below zero is better. The verdict goes "
        "by seeds: the primary measure by its interval (Student's t on paired seeds), all others by p values that are "
        "corrected together (Holm). The interval over documents resamples documents under these very models and is too "
        "narrow to judge the recipe by.",
        "All of it is conditional on this annotator, this encoder and this filtered pool: none of them was made anew "
        "by seed.",
        _matched(facts),
        f"The candidate went {facts['filtered_epochs']:.2f} times through the filtered documents that it may train "
        f"on. Every model has {facts['parameters']:,} weights and was trained on {facts['tokens']:,} tokens; all "
        f"seeds of all models together took {facts['training_flops']:.3g} floating-point operations.",
        ORIGINS[facts["targets_from"]],
    )


def _matched(facts: Mapping[str, Any]) -> str:
    if facts["matched_epochs"] is None:
        return (
            "The mix of sources is part of the effect: the plain control has another one, and no matched control was "
            "asked for."
        )
    return (
        "The plain control reads more of the pool where the candidate reads kept documents, so that the mix of sources "
        "and lengths is part of the effect. The matched control reads documents drawn at random with the mix of the "
        f"kept ones, {facts['matched_epochs']:.2f} times: what remains against it is the rubric's own."
    )


def _over_seeds(row: Mapping[str, Any]) -> Figure:
    return Figure(value=row["difference"], low=row["low"], high=row["high"])


def _over_documents(row: Mapping[str, Any]) -> Figure:
    return Figure(value=row["difference"], low=row["documents_low"], high=row["documents_high"])
