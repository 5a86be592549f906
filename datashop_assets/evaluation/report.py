"""The comparison in words and one table, with what it is conditional on."""

from collections.abc import Mapping, Sequence
from typing import Any

from datashop_assets.sources.describe import escaped

HEAD = (
    "documents",
    "source",
    "number",
    "control, bits/byte",
    "trained, bits/byte",
    "difference",
    "95% over seeds",
    "95% over documents",
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
    target = next(row for row in rows if row["kind"] == "target")
    return "\n\n".join((f"**{_sentence(target, facts)}**", table(rows), *_conditions(facts))) + "\n"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line for all documents of a kind, and one for each source in it."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    for row in rows:
        cells = (
            row["kind"],
            escaped(row["source"]) or "all",
            str(row["documents"]),
            f"{row['control']:.3f}",
            f"{row['trained']:.3f}",
            f"{row['difference']:+.3f}",
            _bounds(row["low"], row["high"]),
            _bounds(row["documents_low"], row["documents_high"]),
            row["verdict"],
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _sentence(row: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    change = f"{row['difference']:+.3f} bits per byte on held-out target documents"
    if row["low"] is None:
        return f"Candidate minus control: {change}, from one seed, which has no interval. Train two or more."
    seeds = f"95% interval {row['low']:+.3f} to {row['high']:+.3f} over {facts['seeds']} seeds"
    return f"The candidate is {row['verdict']}: {change}, {seeds}."


def _conditions(facts: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        "Differences are trained minus control in total bits over total bytes: below zero is better. The verdict goes "
        "by the interval over seeds (Student's t on paired seeds). The interval over documents resamples documents "
        "under these very models and is too narrow to judge the recipe by.",
        "All of it is conditional on this annotator, this encoder and this filtered pool: none of them was made anew "
        "by seed. The mix of sources is part of the effect, because the control is not matched in sources or lengths.",
        f"The candidate went {facts['filtered_epochs']:.2f} times through the filtered documents that it may train "
        f"on. Both models have {facts['parameters']:,} weights and were trained on {facts['tokens']:,} tokens.",
        ORIGINS[facts["targets_from"]],
    )


def _bounds(low: float | None, high: float | None) -> str:
    return "none" if low is None or high is None else f"{low:+.3f} to {high:+.3f}"
