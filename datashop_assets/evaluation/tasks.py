"""Harness tasks as measures: the candidate against its controls, seed by seed, corrected for being many.

A task has one headline, the first of `HEADLINES` that the harness gives for it; in all of them more is better.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from datashop_assets.evaluation.compare import corrected_verdict
from datashop_assets.evaluation.harness import Scores
from datashop_assets.statistics.comparison import holm, paired_p_value
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import t_interval

HEADLINES = (
    *("acc_norm,none", "acc,none"),
    *("exact_match,strict-match", "exact_match,flexible-extract", "exact_match,none"),
)
HEAD = ("task", "against", "measure", "control", "trained", "difference", "95% over seeds", "p, corrected", "verdict")
Headline = tuple[str, float]
Row = dict[str, Any]


def compared(found: Mapping[str, Sequence[Scores]], tasks: Sequence[str]) -> list[Row]:
    """found: for `trained` and each control the scores of every seed, in order -> a row for each task and control."""
    rows = [
        _row(task, against, _headlines(scores, task), _headlines(found["trained"], task), _grain(scores[0], task))
        for task in tasks
        for against, scores in found.items()
        if against != "trained"
    ]
    judged = [row for row in rows if row["p"] is not None]
    for row, corrected in zip(judged, holm([row["p"] for row in judged]), strict=True):
        row["p_corrected"] = corrected
    # a verdict is made for measures of which less is better
    return [{**row, "verdict": str(corrected_verdict(-row["difference"], row["p_corrected"]))} for row in rows]


def table(rows: Sequence[Row]) -> str:
    """The rows as markdown."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    for row in rows:
        bounds = Figure(value=row["difference"], low=row["low"], high=row["high"]).interval("+.3f")
        corrected = "none" if row["p_corrected"] is None else f"{row['p_corrected']:.3f}"
        numbers = f"{row['control']:.3f} | {row['trained']:.3f} | {row['difference']:+.3f} | {bounds} | {corrected}"
        lines.append(f"| {row['task']} | {row['against']} | {row['measure']} | {numbers} | {row['verdict']} |")
    return "\n".join(lines)


def _row(task: str, against: str, control: Sequence[Headline], trained: Sequence[Headline], grain: float) -> Row:
    one, two = (np.array([score for _, score in side]) for side in (control, trained))
    interval = t_interval(two - one, grain, "seeds")
    return {
        "task": task,
        "against": against,
        "measure": trained[0][0],
        "control": float(one.mean()),
        "trained": float(two.mean()),
        "difference": interval.value,
        "low": interval.low,
        "high": interval.high,
        "p": paired_p_value(two - one, grain),
        "p_corrected": None,
    }


def _grain(scores: Scores, task: str) -> float:
    """What one question of a task is worth; 0 where the harness does not say how many it asked."""
    asked = scores.get(task, {}).get("sample_len")
    return 1 / asked if asked else 0.0


def _headlines(seeds: Sequence[Scores], task: str) -> list[Headline]:
    """Name and value of a task's headline for each seed. Raises `ValueError` for a task that has none."""
    for name in HEADLINES:
        if all(name in scores.get(task, {}) for scores in seeds):
            return [(name.partition(",")[0], float(scores[task][name])) for scores in seeds]
    raise ValueError(f"task {task!r} has none of {', '.join(HEADLINES)}, but {sorted(seeds[0].get(task, {}))}")
