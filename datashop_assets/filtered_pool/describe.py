"""Scores, certificate and kept documents as a person browses them: title -> Markdown, in which texts are escaped."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from datashop_assets.core.step import StepOutput
from datashop_assets.filtered_pool.results import (
    DOCUMENTS,
    FilteredPoolResult,
    GoldFigures,
    KeepCertificateResult,
    PoolScoresResult,
    Selection,
)
from datashop_assets.filtered_pool.threshold_tests import Claim
from datashop_assets.markdown import bar, escaped, table

SHOWN = 5


def describe_scores(scores: PoolScoresResult) -> Mapping[str, str]:
    """Documents by score, bars by the square root of the count: most documents score near zero."""
    longest, width = max(scores.histogram) ** 0.5 or 1.0, 1 / len(scores.histogram)
    rows = [
        (f"{place * width:.2f} to {(place + 1) * width:.2f}", count, bar(count**0.5 / longest))
        for place, count in enumerate(scores.histogram)
    ]
    return {"scores": table(("score", "documents", ""), rows)}


def describe_certificate(certificate: KeepCertificateResult) -> Mapping[str, str]:
    """What was certified, or what it would need, and every threshold that was tried."""
    shown = Claim.of(certificate.rule)
    claim = f"{shown.kind} at least {shown.share} with probability {1 - shown.delta:g}, by document, each copy one"
    if (passed := certificate.certified) is not None:
        said = f"Certified: {claim}, for the {passed.documents} documents from a score of {passed.threshold}."
    else:
        needed = certificate.labels_needed or f"more than any number, at this {shown.kind}"
        said = f"Refused: {claim}. Labels needed: {needed}."
    counted = f"{certificate.labelled} labels asked, {certificate.unlabelled} without a score, counted against it."
    head = ("threshold", "documents", "labels", "positive", "missed", "passed")
    rows = [
        (one.threshold, one.documents, one.labels, one.positives, one.missed, one.passed) for one in certificate.trials
    ]
    return {"certificate": f"{said} {counted}\n\n{table(head, rows)}"}


def describe_kept(output: StepOutput[FilteredPoolResult]) -> Mapping[str, str]:
    """What the rule did, by source and by split, and documents at the cut and above."""
    return {"kept": _kept(output.result), "at the cut and above": _samples(output)}


def _kept(result: FilteredPoolResult) -> str:
    whole = Selection(
        documents=result.documents,
        bytes=result.bytes,
        kept_documents=result.kept_documents,
        kept_bytes=result.kept_bytes,
    )
    rows = [
        (escaped(name), *(f"{number:,}" for number in (one.documents, one.kept_documents, one.bytes, one.kept_bytes)))
        for name, one in {"all": whole, **result.by_source, **result.by_split}.items()
    ]
    rule = ", ".join(f"{name} {value}" for name, value in result.rule.model_dump().items())
    cut = "nothing is kept" if result.cut_score is None else f"the lowest score kept is {result.cut_score:.4f}"
    near = ", ".join(
        f"{escaped(one.id)} ({'kept' if one.kept else 'left out'})" for one in result.near_cut_documents[:SHOWN]
    )
    said = [f"Rule: {rule}; {cut}.", f"Within 1e-5 of the cut: {result.near_cut}{near and f', among them {near}'}."]
    if (sizes := result.tokens) is not None:
        said.append(
            f"Kept tokens: {sizes.kept:,} of {sizes.tokens:,}; those of {sizes.counted_documents:,} documents are "
            f"counted, all others follow from {sizes.bytes_per_token:.3f} bytes a token."
        )
    if result.gold is not None:
        said.append(_gold(result.gold, result.gold_within))
    return f"{' '.join(said)}\n\n{table(('', 'documents', 'kept', 'bytes', 'kept bytes'), rows)}"


def _gold(gold: GoldFigures, within: Mapping[str, GoldFigures]) -> str:
    by_source = ", ".join(f"{escaped(source)} {found.precision.value:.3f}" for source, found in within.items())
    return (
        f"Against gold on held-out documents: precision {gold.precision}, recall {gold.recall}. "
        f"Precision within {by_source}."
    )


def _samples(output: StepOutput[FilteredPoolResult]) -> str:
    """Of the first 1,000 kept documents those with the lowest scores, then those with the highest."""
    first = sorted(islice(_documents(output), 1000), key=lambda row: (row["datashop_score"], str(row)))
    chosen = first[:SHOWN] + first[SHOWN:][-SHOWN:]
    return table(("document", "score"), [(escaped(str(_text(row))), f"{row['datashop_score']:.4f}") for row in chosen])


def _documents(output: StepOutput[FilteredPoolResult]) -> Iterator[Mapping[str, Any]]:
    for shard in output.shards:
        if shard.name.startswith(f"{DOCUMENTS}/") and shard.rows:
            yield from output.rows(shard.name)


def _text(row: Mapping[str, Any]) -> str:
    """The longest text among a document's fields: what the text field is called depends on the pool."""
    return max((value for value in row.values() if isinstance(value, str)), key=len, default="")
