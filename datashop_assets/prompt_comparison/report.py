"""A comparison of prompts as Markdown: for the terminal and the UI alike."""

from collections.abc import Mapping, Sequence
from typing import Any

from datashop_assets.markdown import escaped, table
from datashop_assets.prompt_comparison.compare import DIFFERENCES
from datashop_assets.statistics.figure import Figure

ROWS = {
    "verdict": "verdict on its own targets, against control",
    "target_bpb_difference": "bits per byte on its own targets, minus control",
    "matched_target_bpb_difference": "the same, minus the control of its own mix of sources",
    "general_bpb_difference": "bits per byte on general documents, minus control",
    "kept_documents": "documents kept",
    "kept_tokens": "tokens kept",
    "gold_precision": "precision against gold",
    "gold_recall": "recall against gold",
    "auc": "encoder's AUC on unseen labels",
    "gold_auc": "encoder's AUC against gold",
    "tokens_in": "tokens the annotator read",
    "tokens_out": "tokens the annotator wrote",
    "seconds": "seconds of the stages that the prompts do not share",
}


def report(found: Mapping[str, Any], *, documents: bool = True) -> str:
    """`documents=False` leaves out the documents that one prompt keeps and another drops."""
    parts = [
        f"{' and '.join(found['prompts'])} on one pool of {found['documents']:,} documents.",
        "## Cost and benefit",
        _figures(found),
        f"## Overlap of the best {found['at']:,} documents of each",
        _overlap(found),
        f"## Rank correlation over {found['ranked']:,} documents",
        _square(found["prompts"], found["rank_correlation"], "{:.3f}"),
        "## Share of tokens by source",
        _sources(found),
    ]
    return "\n\n".join([*parts, *(_apart(found["apart"]) if documents else ())]) + "\n"


def _figures(found: Mapping[str, Any]) -> str:
    columns = [found["figures"][slug] for slug in found["prompts"]]
    rows = [(title, *(_figure(name, one) for one in columns)) for name, title in ROWS.items()]
    return table(("", *found["prompts"]), rows)


def _figure(name: str, figures: Mapping[str, Any]) -> str:
    value = figures.get(name)
    if value is None:
        return "n/a"
    if name in DIFFERENCES:
        return f"{Figure.from_metrics(figures, name):+.3f}"
    if name == "seconds":
        return f"{value:,.0f}"
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _overlap(found: Mapping[str, Any]) -> str:
    at, documents = found["at"], found["documents"]
    shares = [[both / at if at else None for both in row] for row in found["overlap"]]
    chance = f"Two random choices of as many would share {at / documents:.1%}."
    return f"{_square(found['prompts'], shares, '{:.1%}')}\n\n{chance}"


def _square(slugs: Sequence[str], values: Sequence[Sequence[float | None]], form: str) -> str:
    cells = [["n/a" if value is None else form.format(value) for value in row] for row in values]
    return table(("", *slugs), [(slug, *row) for slug, row in zip(slugs, cells, strict=True)])


def _sources(found: Mapping[str, Any]) -> str:
    by_prompt = found["sources"]
    first = by_prompt[found["prompts"][0]]
    rows = [
        (escaped(name), f"{one['pool']:.1%}", *(f"{by_prompt[slug][name]['kept']:.1%}" for slug in found["prompts"]))
        for name, one in sorted(first.items(), key=lambda item: -item[1]["pool"])
    ]
    return table(("source", "pool", *(f"kept by {slug}" for slug in found["prompts"])), rows)


def _apart(pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    parts = []
    for pair in pairs:
        parts.append(f"## Kept by {pair['keeps']}, dropped by {pair['drops']}")
        rows = [
            (f"{escaped(row['id'])}: {escaped(row['text'])}", f"{row['keeps']:.3f}", f"{row['drops']:.3f}")
            for row in pair["documents"]
        ]
        parts.append(table(("document", pair["keeps"], pair["drops"]), rows) if rows else "None.")
    return parts
