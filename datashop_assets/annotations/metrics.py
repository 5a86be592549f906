"""What a set of answers adds up to."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from datashop_assets.protocols.annotator import Status

Answer = Mapping[str, Any]
BINS = 10  # of half a point each


def metrics_of(answers: Sequence[Answer], sample: int) -> dict[str, Any]:
    """Counts of every way a document can end, cost, and the distribution of scores.

    asked, not_drawn: documents. by_status: documents. coverage: share of asked that have a score. unparsed_share: share
    of asked whose reply gave none. cut: documents of which less than all was read. documents_per_second: while asking.
    mean_score: of the whole sample, by weight. score_histogram: documents in [0, 0.5), [0.5, 1), ... [4.5, 5].
    """
    scored = [answer for answer in answers if answer["expected_score"] is not None]
    statuses = Counter(answer["status"] for answer in answers)
    seconds = sum(answer["seconds"] for answer in answers)
    return {
        "asked": len(answers),
        "not_drawn": sample - len(answers),
        "by_status": {str(status): statuses[status] for status in Status},
        "by_round": dict(sorted(Counter(str(answer["round"]) for answer in answers).items())),
        "coverage": len(scored) / len(answers),
        "unparsed_share": statuses[Status.UNPARSED] / len(answers),
        "cut": sum(answer["cut"] for answer in answers),
        "tokens_in": sum(answer["tokens_in"] for answer in answers),
        "tokens_out": sum(answer["tokens_out"] for answer in answers),
        "documents_per_second": round(len(answers) / seconds, 3) if seconds else None,
        "mean_score": _mean(scored),
        "score_histogram": histogram([answer["expected_score"] for answer in scored]),
    }


def histogram(scores: Sequence[float]) -> list[int]:
    """How many scores between 0 and 5 fall in each half point; 5 belongs to the last."""
    counts = Counter(min(BINS - 1, int(2 * score)) for score in scores)
    return [counts[place] for place in range(BINS)]


def _mean(scored: Sequence[Answer]) -> float | None:
    total = sum(1 / answer["probability"] for answer in scored)
    return (
        round(sum(answer["expected_score"] / answer["probability"] for answer in scored) / total, 4) if scored else None
    )
