"""Writes `rubric.json`: the rubric as the annotator and every reader of the results will see it."""

import orjson

from datashop_assets.stage import Metrics, StageTask

RUBRIC_FILE = "rubric.json"


def build(task: StageTask) -> Metrics:
    """The rubric of the prompt file, unchanged. `origin` says where it came from. Metrics: characters."""
    rubric = {"text": task.config["rubric"], "origin": "given"}
    task.output.put_bytes(RUBRIC_FILE, orjson.dumps(rubric, option=orjson.OPT_INDENT_2))
    return {"characters": len(rubric["text"]), "origin": rubric["origin"]}
