"""What the UI shows of annotations: how documents ended, where scores lie, and replies across the range of scores."""

from collections.abc import Mapping, Sequence
from typing import Any

from datashop_assets.annotations.metrics import servers_of
from datashop_assets.markdown import escaped, table
from datashop_assets.storage.stage_folder import StageFolder

SHOWN = 8  # replies
WIDTH = 40  # of the longest bar, in blocks


def describe(folder: StageFolder) -> Mapping[str, str]:
    """Title -> markdown. Text of documents and replies is escaped."""
    return {
        "how documents ended": _ended(folder.metrics),
        "scores": histogram_table(folder.metrics["score_histogram"]),
        "replies across the scores": replies_table(_across(folder)),
    }


def histogram_table(counts: Sequence[int]) -> str:
    """Counts of half points as a table with bars."""
    longest = max(counts, default=0) or 1
    lines = [
        f"| {place / 2:g} | {count} | {'█' * -(-count * WIDTH // longest)} |" for place, count in enumerate(counts)
    ]
    return "\n".join(["| score from | documents | |", "| --- | --- | --- |", *lines])


def replies_table(answers: Sequence[Mapping[str, Any]]) -> str:
    """Answers from the lowest score to the highest; those without a score come first."""
    ordered = sorted(answers, key=_rank)
    return "\n".join(["| id | score | status | source | text | reply |", f"|{' --- |' * 6}", *map(_line, ordered)])


def evenly(length: int, most: int) -> list[int]:
    """Up to `most` places in a sequence of `length`, from one end to the other."""
    count = min(most, length)
    return [round(place * (length - 1) / max(1, count - 1)) for place in range(count)]


def _across(folder: StageFolder) -> list[Mapping[str, Any]]:
    """Up to eight rows, evenly spread over the ranks. Read twice, so that memory holds no other texts."""
    ranked = sorted((_rank(row), place) for place, row in enumerate(folder.all_rows()))
    chosen = {ranked[each][1] for each in evenly(len(ranked), SHOWN)}
    return [row for place, row in enumerate(folder.all_rows()) if place in chosen]


def _line(answer: Mapping[str, Any]) -> str:
    score = "none" if answer["expected_score"] is None else f"{answer['expected_score']:.2f}"
    shown = (answer["source"], answer["text"], answer["raw"] or answer["reason"])
    said = " | ".join(escaped(value) for value in shown)
    return f"| {escaped(answer['id'], 60)} | {score} | {answer['status']} | {said} |"


def _rank(answer: Mapping[str, Any]) -> tuple[float, str]:
    return -1.0 if answer["expected_score"] is None else float(answer["expected_score"]), answer["id"]


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
    return "\n\n".join([*tables, said, *servers_said(metrics)])


def servers_said(metrics: Mapping[str, Any]) -> list[str]:
    """One warning where answers are of servers that differ, else none."""
    if len(servers := servers_of(metrics)) < 2:
        return []
    return [
        f"**Answers are of {len(servers)} servers that differ** ({escaped(', '.join(servers), 400)}): in version, "
        "options, or the model's revision. If in the last, name it as `annotator.revision`, which asks anew."
    ]
