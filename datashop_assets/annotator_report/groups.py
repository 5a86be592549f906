"""Scores by length and by source: where an annotator's scores come from, beside what the text says."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from datashop_assets.statistics.intervals import Array

Row = Mapping[str, Any]
DECILES = 10
MOST_SOURCES = 40


def by_length(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Ten groups of equally many documents, from the shortest; fewer groups where there are fewer documents."""
    ordered = sorted(rows, key=lambda row: (row["characters"], row["id"]))
    groups = np.array_split(np.arange(len(ordered)), min(DECILES, len(ordered)))
    return [
        {"characters": [ordered[group[0]]["characters"], ordered[group[-1]]["characters"]], **summary(inside)}
        for group in groups
        if (inside := [ordered[place] for place in group])
    ]


def by_source(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The sources with most documents first; those beyond 40 together."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["source"], []).append(row)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    rest = [row for _, inside in ordered[MOST_SOURCES:] for row in inside]
    shown = [*ordered[:MOST_SOURCES], *([("all others", rest)] if rest else [])]
    return [{"source": name, **summary(inside)} for name, inside in shown]


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """documents, scored, and the weighted mean of scores with quartiles of the scored documents."""
    scored = [row for row in rows if row["expected_score"] is not None]
    if not scored:
        return {"documents": len(rows), "scored": 0, "mean": None, "quartiles": None}
    scores: Array = np.array([row["expected_score"] for row in scored])
    weights = np.array([1 / row["probability"] for row in scored])
    return {
        "documents": len(rows),
        "scored": len(scored),
        "mean": round(float(np.average(scores, weights=weights)), 4),
        "quartiles": [round(float(one), 4) for one in np.quantile(scores, [0.25, 0.5, 0.75])],
    }
