"""Scores, certificate and kept documents as a person browses them."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from datashop_assets.filtered_pool.documents import FOLDER
from datashop_assets.markdown import bar, escaped, table
from datashop_assets.statistics.figure import Figure
from datashop_assets.storage.stage_folder import StageFolder

SHOWN = 5


def describe(folder: StageFolder) -> Mapping[str, str]:
    """Title -> markdown, for each of this room's stages. Text of documents is escaped."""
    match folder.manifest.stage:
        case "pool_scores":
            return {"scores": histogram(folder.metrics["histogram"])}
        case "keep_certificate":
            return {"certificate": certificate(folder.metrics)}
        case _:
            return {"kept": kept(folder.metrics), "at the cut and above": samples(folder)}


def certificate(metrics: Mapping[str, Any]) -> str:
    """What was certified, or what it would need, and every threshold that was tried."""
    if "trials" not in metrics:
        return f"State: {metrics['state']}."
    rule = metrics["rule"]
    claim = f"precision at least {rule['precision']} with probability {1 - rule['delta']:g}"
    if metrics["threshold"] is None:
        said = f"Refused: {claim}. Labels needed: {metrics['needed'] or 'more than any number, at this precision'}."
    else:
        said = f"Certified: {claim}, for the {metrics['documents']} documents from a score of {metrics['threshold']}."
    head = ("threshold", "documents", "labels", "positive", "passed")
    rows = [
        tuple(trial[name] for name in ("threshold", "documents", "labels", "positives", "passed"))
        for trial in metrics["trials"]
    ]
    counted = f"{metrics['asked']} labels asked, {metrics['unlabelled']} without a score, counted as negative."
    return f"{said} {counted}\n\n{table(head, rows)}"


def histogram(counts: list[int]) -> str:
    """Documents by score, bars by the square root of the count: most documents score near zero."""
    longest, width = max(counts) ** 0.5 or 1.0, 1 / len(counts)
    rows = [
        (f"{place * width:.2f} to {(place + 1) * width:.2f}", count, bar(count**0.5 / longest))
        for place, count in enumerate(counts)
    ]
    return table(("score", "documents", ""), rows)


def kept(metrics: Mapping[str, Any]) -> str:
    """What the rule did, by source and by split."""
    head = ("", "documents", "kept", "tokens", "kept tokens")
    groups = {"all": metrics, **metrics["by_source"], **metrics["by_split"]}
    rows = [
        (escaped(name), *(f"{one[key]:,}" for key in ("documents", "kept_documents", "tokens", "kept_tokens")))
        for name, one in groups.items()
    ]
    rule = ", ".join(f"{name} {value}" for name, value in metrics["rule"].items())
    cut = "nothing is kept" if metrics["cut_score"] is None else f"the lowest score kept is {metrics['cut_score']:.4f}"
    return f"Rule: {rule}; {cut}. {_near(metrics)}{_gold(metrics)}\n\n{table(head, rows)}"


def _near(metrics: Mapping[str, Any]) -> str:
    """Manifests of earlier versions say nothing of it."""
    found = metrics.get("near_cut_documents", [])
    named = ", ".join(f"{escaped(one['id'])} ({'kept' if one['kept'] else 'left out'})" for one in found[:SHOWN])
    return (
        f"Within 1e-5 of the cut: {metrics.get('near_cut', 'not counted')}{f', among them {named}' if named else ''}."
    )


def _gold(metrics: Mapping[str, Any]) -> str:
    if "gold_precision" not in metrics:
        return ""
    precision, recall = (Figure.from_metrics(metrics, name) for name in ("gold_precision", "gold_recall"))
    within = ", ".join(
        f"{escaped(source)} {found['gold_precision']:.3f}"
        for source, found in metrics["gold_within"].items()
        if "gold_precision" in found
    )
    return f" Against gold on held-out documents: precision {precision}, recall {recall}. Precision within {within}."


def samples(folder: StageFolder) -> str:
    """Of the first 1,000 kept documents those with the lowest scores, then those with the highest."""
    first = sorted(islice(_kept(folder), 1000), key=lambda row: (row["datashop_score"], str(row)))
    chosen = first[:SHOWN] + first[SHOWN:][-SHOWN:]
    return table(("document", "score"), [(escaped(str(_text(row))), f"{row['datashop_score']:.4f}") for row in chosen])


def _kept(folder: StageFolder) -> Iterator[Mapping[str, Any]]:
    for shard in folder.shards:
        if shard.name.startswith(f"{FOLDER}/") and shard.rows:
            yield from folder.rows(shard.name)


def _text(row: Mapping[str, Any]) -> str:
    """The longest text among a document's fields: what the text field is called depends on the pool."""
    return max((value for value in row.values() if isinstance(value, str)), key=len, default="")
