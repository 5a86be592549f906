"""Writes `annotator_report.json` and `annotator_report.png`."""

from collections.abc import Sequence
from typing import Any

import orjson

from datashop_assets.annotator_report.asking import Row, again, second
from datashop_assets.annotator_report.groups import by_length, by_source, summary
from datashop_assets.annotator_report.plot import plot
from datashop_assets.graph.stage import Metrics, StageTask

REPORT, PLOT = "annotator_report.json", "annotator_report.png"
READ = ("id", "source", "content", "characters", "expected_score", "probability")


def build(task: StageTask) -> Metrics:
    """Metrics: the headline figures of the report; None where a question was not asked.

    Raises `ValueError` without an annotator where it is to be asked again.
    """
    rows = [{name: row[name] for name in READ} for row in task.inputs["annotations"].all_rows()]
    report = report_of(task, rows)
    task.output.put_bytes(REPORT, orjson.dumps(report, option=orjson.OPT_INDENT_2))
    task.output.put_bytes(PLOT, plot(report, [row["expected_score"] for row in rows]), identity=False)
    return {
        "documents": len(rows),
        **{f"self_{name}": _value(report["self_agreement"], name) for name in ("quadratic_kappa", "spearman")},
        **{f"second_{name}": _value(report["second_annotator"], name) for name in ("quadratic_kappa", "spearman")},
    }


def report_of(task: StageTask, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "all": summary(rows),
        "by_length": by_length(rows),
        "by_source": by_source(rows),
        "self_agreement": again(task, rows),
        "second_annotator": second(task, rows),
    }


def _value(found: dict[str, Any] | None, name: str) -> float | None:
    value: float | None = ((found or {}).get(name) or {}).get("value")
    return value
