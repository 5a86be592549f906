"""What the UI shows of a rubric: its text, and of a written one how it came to be."""

import html
from collections.abc import Mapping
from typing import Any

import orjson

from datashop_assets.markdown import escaped, table
from datashop_assets.rubric.build import RUBRIC_FILE
from datashop_assets.storage.stage_folder import StageFolder


def describe(folder: StageFolder) -> Mapping[str, str]:
    """Title -> markdown. The text is escaped and keeps its lines."""
    rubric = orjson.loads(folder.file(RUBRIC_FILE).read_bytes())
    shown = {f"rubric ({rubric['origin']})": f"<pre>{html.escape(rubric['text'])}</pre>"}
    return shown if rubric["origin"] == "given" else {**shown, "how it was written": _calls(folder.metrics)}


def _calls(metrics: Mapping[str, Any]) -> str:
    sets = table(("targets", "documents"), [(escaped(name), count) for name, count in metrics["documents"].items()])
    left_out = "; ".join(escaped(one) for one in metrics["left_out"]) or "none"
    said = (
        f"{metrics['calls']} calls, {metrics['tokens_in']} tokens read and {metrics['tokens_out']} written; "
        f"of {metrics['cut']} texts less than all was read. Documents left out: {left_out}. "
        "`datashop prompts pin` puts this text into the prompt file."
    )
    return f"{sets}\n\n{said}"
