"""Writes `annotator_report.json` and `annotator_report.png`."""

from collections.abc import Sequence
from typing import Any

import orjson

from datashop_assets.annotator_report.asking import Row, again, second
from datashop_assets.annotator_report.groups import by_length, by_source, summary
from datashop_assets.annotator_report.plot import plot
from datashop_assets.core.step import Metrics, OpenRun

REPORT, PLOT = "annotator_report.json", "annotator_report.png"
READ = ("id", "source", "content", "characters", "expected_score", "probability")


def build(run: OpenRun) -> Metrics:
    """Metrics: the headline figures of the report; None where a question was not asked.

    Raises `ValueError` without an annotator where it is to be asked again.
    """
    rows = [{name: row[name] for name in READ} for row in run.inputs["annotations"].all_rows()]
    report = report_of(run, rows)
    run.output.put_bytes(REPORT, orjson.dumps(report, option=orjson.OPT_INDENT_2))
    run.output.put_bytes(PLOT, plot(report, [row["expected_score"] for row in rows]), identity=False)
    return {
        "documents": len(rows),
        **{f"self_{name}": _value(report["self_agreement"], name) for name in ("quadratic_kappa", "spearman")},
        **{f"second_{name}": _value(report["second_annotator"], name) for name in ("quadratic_kappa", "spearman")},
    }


def report_of(run: OpenRun, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "all": summary(rows),
        "by_length": by_length(rows),
        "by_source": by_source(rows),
        "self_agreement": again(run, rows),
        "second_annotator": second(run, rows),
    }


def _value(found: dict[str, Any] | None, name: str) -> float | None:
    value: float | None = ((found or {}).get(name) or {}).get("value")
    return value
