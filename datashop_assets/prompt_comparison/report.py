"""A comparison of prompts as Markdown: for the terminal and the UI alike."""

from collections.abc import Sequence

from datashop_assets.markdown import escaped, table
from datashop_assets.prompt_comparison.compare import Apart, Comparison, CostAndBenefit
from datashop_assets.statistics.figure import Figure

TITLES = {
    "verdict": "verdict on its own targets, against control",
    "target_difference": "bits per byte on its own targets, minus control",
    "matched_target_difference": "the same, minus the control of its own mix of sources",
    "general_difference": "bits per byte on general documents, minus control",
    "kept_documents": "documents kept",
    "kept_bytes": "bytes kept",
    "gold_precision": "precision against gold",
    "gold_recall": "recall against gold",
    "auc": "encoder's AUC on unseen labels",
    "gold_auc": "encoder's AUC against gold",
    "tokens_in": "tokens the annotator read",
    "tokens_out": "tokens the annotator wrote",
    "seconds": "seconds of the stages that the prompts do not share",
}


def report(comparison: Comparison, *, documents: bool = True) -> str:
    """`documents=False` leaves out the documents that one prompt keeps and another drops."""
    parts = [
        f"{' and '.join(comparison.prompts)} on one pool of {comparison.documents:,} documents.",
        "## Cost and benefit",
        _figures(comparison),
        f"## Overlap of the best {comparison.at:,} documents of each",
        _overlap(comparison),
        f"## Rank correlation over {comparison.ranked:,} documents",
        _square(comparison.prompts, comparison.rank_correlation, "{:.3f}"),
        "## Share of bytes by source",
        _sources(comparison),
    ]
    return "\n\n".join([*parts, *(_apart(comparison.apart) if documents else ())]) + "\n"


def _figures(comparison: Comparison) -> str:
    columns = [comparison.figures[slug] for slug in comparison.prompts]
    return table(
        ("", *comparison.prompts),
        [(title, *(_figure(name, one) for one in columns)) for name, title in TITLES.items()],
    )


def _figure(name: str, figures: CostAndBenefit) -> str:
    match getattr(figures, name):
        case None:
            return "n/a"
        case Figure() as difference:
            return f"{difference:+.3f}"
        case float(seconds) if name == "seconds":
            return f"{seconds:,.0f}"
        case float(value):
            return f"{value:.3f}"
        case int(count):
            return f"{count:,}"
        case other:
            return str(other)


def _overlap(comparison: Comparison) -> str:
    at = comparison.at
    shares = [[both / at if at else None for both in row] for row in comparison.overlap]
    chance = f"Two random choices of as many would share {at / comparison.documents:.1%}."
    return f"{_square(comparison.prompts, shares, '{:.1%}')}\n\n{chance}"


def _square(slugs: Sequence[str], values: Sequence[Sequence[float | None]], form: str) -> str:
    cells = [["n/a" if value is None else form.format(value) for value in row] for row in values]
    return table(("", *slugs), [(slug, *row) for slug, row in zip(slugs, cells, strict=True)])


def _sources(comparison: Comparison) -> str:
    slugs, shares = comparison.prompts, comparison.sources
    largest_first = sorted(shares[slugs[0]].items(), key=lambda item: -item[1].pool)
    rows = [
        (escaped(name), f"{one.pool:.1%}", *(f"{shares[slug][name].kept:.1%}" for slug in slugs))
        for name, one in largest_first
    ]
    return table(("source", "pool", *(f"kept by {slug}" for slug in slugs)), rows)


def _apart(pairs: Sequence[Apart]) -> list[str]:
    parts = []
    for pair in pairs:
        parts.append(f"## Kept by {pair.keeps}, dropped by {pair.drops}")
        rows = [
            (f"{escaped(one.id)}: {escaped(one.text)}", f"{one.keeps:.3f}", f"{one.drops:.3f}")
            for one in pair.documents
        ]
        parts.append(table(("document", pair.keeps, pair.drops), rows) if rows else "None.")
    return parts
