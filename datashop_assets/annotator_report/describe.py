"""What the UI shows of an annotator's report: agreement, the picture, and scores by length and source."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from datashop_assets.annotator_report.build import PLOT, REPORT
from datashop_assets.markdown import escaped, table
from datashop_assets.statistics.figure import Figure
from datashop_assets.storage.stage_folder import StageFolder

FIGURES = {
    "quadratic_kappa": "kappa, quadratic weights",
    "spearman": "Spearman's rho",
    "same_score": "same whole score",
    "mean_difference": "mean difference, points",
}


def describe(folder: StageFolder) -> Mapping[str, str]:
    """Title -> markdown. The picture is part of the text, so that no file has to be served."""
    report = orjson.loads(folder.file(REPORT).read_bytes())
    picture = base64.b64encode(folder.file(PLOT).read_bytes()).decode()
    return {
        "agreement with itself": agreement_table(report["self_agreement"]),
        "agreement with a second annotator": agreement_table(report["second_annotator"]),
        "picture": f"![scores, by length, by source](data:image/png;base64,{picture})",
        "score by length": _groups("characters up to", report["by_length"], lambda one: str(one["characters"][1])),
        "score by source": _groups("source", report["by_source"], lambda one: escaped(one["source"])),
    }


def agreement_table(found: Mapping[str, Any] | None) -> str:
    """Figures with their intervals and the confusion; why there are none where there are none."""
    if found is None:
        return "No second annotator is named (`annotator.report.second`)."
    if "note" in found:
        return escaped(found["note"])
    rows = [(title, _text(found[name])) for name, title in FIGURES.items()]
    confusion = table(("first, second →", *range(6)), ((score, *line) for score, line in enumerate(found["confusion"])))
    who = f"{escaped(found['model'])}, {found['scoring']}. " if "model" in found else ""
    said = f"{who}{found['documents']} documents have both scores; {found['without_score']} have no second one."
    return f"{said}\n\n{table(('', 'with 95% interval'), rows)}\n\n{confusion}"


def _groups(head: str, groups: Sequence[Mapping[str, Any]], name: Any) -> str:
    rows = [(name(one), one["documents"], one["scored"], _number(one["mean"])) for one in groups]
    return table((head, "documents", "scored", "mean score"), rows)


def _text(stored: Mapping[str, Any]) -> str:
    figure = Figure.from_json(stored)
    return _number(None) if figure is None else str(figure)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
