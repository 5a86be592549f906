"""Writes `rubric.json`: the rubric as the annotator and every reader of the results will see it."""

import orjson

from datashop_assets.core.step import Metrics, OpenRun
from datashop_assets.rubric.written import written

RUBRIC_FILE = "rubric.json"


def build(run: OpenRun) -> Metrics:
    """The rubric of the prompt file unchanged, or one written from its targets. `origin` says which."""
    if "targets" in run.config:
        rubric, metrics = written(run)
    else:
        rubric, metrics = {"text": run.config["rubric"], "origin": "given"}, {}
    run.output.put_bytes(RUBRIC_FILE, orjson.dumps(rubric, option=orjson.OPT_INDENT_2))
    return {"characters": len(rubric["text"]), "origin": rubric["origin"], **metrics}
