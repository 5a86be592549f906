"""Writes `rubric.json`: the rubric as the annotator and every reader of the results will see it."""

import orjson

from datashop_assets.graph.stage import Metrics, StageTask
from datashop_assets.rubric.written import written

RUBRIC_FILE = "rubric.json"


def build(task: StageTask) -> Metrics:
    """The rubric of the prompt file unchanged, or one written from its targets. `origin` says which."""
    if "targets" in task.config:
        rubric, metrics = written(task)
    else:
        rubric, metrics = {"text": task.config["rubric"], "origin": "given"}, {}
    task.output.put_bytes(RUBRIC_FILE, orjson.dumps(rubric, option=orjson.OPT_INDENT_2))
    return {"characters": len(rubric["text"]), "origin": rubric["origin"], **metrics}
