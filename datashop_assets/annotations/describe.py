"""What the UI shows of annotations: how documents ended, where scores lie, and replies across the range of scores."""

from collections.abc import Mapping, Sequence
from typing import Any

from datashop_assets.markdown import escaped, table
from datashop_assets.storage.stage_folder import StageFolder

SHOWN = 8  # replies
WIDTH = 40  # of the longest bar, in blocks


def describe(folder: StageFolder) -> Mapping[str, str]:
    """Title -> markdown. Text of documents and replies is escaped."""
    return {
        "how documents ended": _ended(folder.metrics),
        "scores": histogram_table(folder.metrics["score_histogram"]),
        "replies across the scores": replies_table(list(folder.all_rows())),
    }


def histogram_table(counts: Sequence[int]) -> str:
    """Counts of half points as a table with bars."""
    longest = max(counts, default=0) or 1
    lines = [
        f"| {place / 2:g} | {count} | {'█' * -(-count * WIDTH // longest)} |" for place, count in enumerate(counts)
    ]
    return "\n".join(["| score from | documents | |", "| --- | --- | --- |", *lines])


def replies_table(answers: Sequence[Mapping[str, Any]]) -> str:
    """Up to eight answers, evenly spread from the lowest score to the highest; those without a score come first."""
    ordered = sorted(answers, key=lambda answer: (_score(answer), answer["id"]))
    places = range(min(SHOWN, len(ordered)))
    chosen = [ordered[round(place * (len(ordered) - 1) / max(1, len(places) - 1))] for place in places]
    return "\n".join(["| id | score | status | source | text | reply |", f"|{' --- |' * 6}", *map(_line, chosen)])


def _line(answer: Mapping[str, Any]) -> str:
    score = "none" if answer["expected_score"] is None else f"{answer['expected_score']:.2f}"
    shown = (answer["source"], answer["text"], answer["raw"] or answer["reason"])
    said = " | ".join(escaped(value) for value in shown)
    return f"| {escaped(answer['id'], 60)} | {score} | {answer['status']} | {said} |"


def _score(answer: Mapping[str, Any]) -> float:
    return -1.0 if answer["expected_score"] is None else float(answer["expected_score"])


def _ended(metrics: Mapping[str, Any]) -> str:
    """Statuses, the reasons behind them, and what the answers cost."""
    ended = [(status, count) for status, count in metrics["by_status"].items() if count]
    reasons = [(escaped(reason), count) for reason, count in metrics["reasons"].items()]
    tables = [table(("status", "documents"), ended)]
    tables += [table(("without a score because", "documents"), reasons)] if reasons else []
    said = (
        f"{metrics['asked_now']} of {metrics['asked']} documents were asked about by this run, the others before. "
        f"Tokens: {metrics['tokens_in']:,} in, {metrics['tokens_out']:,} out. Cut: {metrics['cut']} documents."
    )
    return "\n\n".join([*tables, said])
