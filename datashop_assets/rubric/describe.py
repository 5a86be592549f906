"""What the UI shows of a rubric: its text."""

import html
from collections.abc import Mapping

import orjson

from datashop_assets.rubric.build import RUBRIC_FILE
from datashop_assets.storage.stage_folder import StageFolder


def describe(folder: StageFolder) -> Mapping[str, str]:
    """Title -> markdown. The text is escaped and keeps its lines."""
    rubric = orjson.loads(folder.file(RUBRIC_FILE).read_bytes())
    return {f"rubric ({rubric['origin']})": f"<pre>{html.escape(rubric['text'])}</pre>"}
