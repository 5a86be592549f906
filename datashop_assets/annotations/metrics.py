"""What a set of answers adds up to, counted in one pass."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from datashop_assets.core.plan import FAILED_CALLS
from datashop_assets.protocols.annotator import Status

Answer = Mapping[str, Any]
BINS = 10  # of half a point each
SUMMED = ("tokens_in", "tokens_out", "seconds", "cut")
REASONS = 10  # the most frequent ones are shown


def metrics_of(answers: Iterable[Answer], sample: int) -> dict[str, Any]:
    """Counts of every way a document can end, cost, and the distribution of scores.

    asked, not_drawn: documents. by_status: documents. reasons: the most frequent, of documents without a score.
    coverage: share of asked that have a score. unparsed_share: share of asked whose reply gave none. cut: documents of
    which less than all was read. documents_per_second: of one request after the other. mean_score: of the whole sample,
    by weight. mean_entropy: bits, of answers that are probabilities. score_histogram: documents in [0, 0.5), [0.5, 1),
    ... [4.5, 5]. by_endpoint: documents.
    """
    counts = _Counts()
    for answer in answers:
        counts.add(answer)
    asked, scored, sums = counts.statuses.total(), sum(counts.bins.values()), counts.sums
    return {
        "asked": asked,
        "not_drawn": sample - asked,
        "by_status": {str(status): counts.statuses[status] for status in Status},
        FAILED_CALLS: counts.statuses[Status.FAILED],
        "reasons": dict(counts.reasons.most_common(REASONS)),
        "by_round": dict(sorted(counts.rounds.items())),
        "by_endpoint": dict(sorted(counts.endpoints.items())),
        "coverage": scored / asked,
        "unparsed_share": counts.statuses[Status.UNPARSED] / asked,
        "cut": int(sums["cut"]),
        "tokens_in": int(sums["tokens_in"]),
        "tokens_out": int(sums["tokens_out"]),
        "documents_per_second": round(asked / sums["seconds"], 3) if sums["seconds"] else None,
        "mean_score": round(sums["weighted"] / sums["weight"], 4) if scored else None,
        "mean_entropy": round(sums["entropy"] / sums["with_entropy"], 4) if sums["with_entropy"] else None,
        "score_histogram": [counts.bins[place] for place in range(BINS)],
    }


class _Counts:
    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.rounds: Counter[str] = Counter()
        self.endpoints: Counter[str] = Counter()
        self.bins: Counter[int] = Counter()
        self.sums: defaultdict[str, float] = defaultdict(float)

    def add(self, answer: Answer) -> None:
        self.statuses[answer["status"]] += 1
        self.rounds[str(answer["round"])] += 1
        self.endpoints[answer["endpoint"] or "none"] += 1
        self._sum({name: answer[name] for name in SUMMED})
        if answer["expected_score"] is None:
            self.reasons[f"{answer['status']}: {answer['reason']}"] += 1
            return
        weight = 1 / answer["probability"]
        self.bins[bin_of(answer["expected_score"])] += 1
        self._sum({"weight": weight, "weighted": weight * answer["expected_score"]})
        if answer["entropy"] is not None:
            self._sum({"entropy": answer["entropy"], "with_entropy": 1})

    def _sum(self, amounts: Mapping[str, float]) -> None:
        for name, amount in amounts.items():
            self.sums[name] += amount


def servers_of(metrics: Mapping[str, Any]) -> list[str]:
    """What the servers that answered say they are; more than one may be more than one revision of the model."""
    return sorted({said for endpoint in metrics["by_endpoint"] if (said := endpoint.partition(" ")[2])})


def bin_of(score: float) -> int:
    """Which half point a score between 0 and 5 falls in; 5 belongs to the last."""
    return min(BINS - 1, int(2 * score))
