"""What the UI shows of the comparison and of the documents it is measured on."""

from collections.abc import Mapping

from datashop_assets.evaluation.build import REPORT
from datashop_assets.evaluation.measures import COMPARISON
from datashop_assets.evaluation.report import table
from datashop_assets.evaluation.targets import TARGETS
from datashop_assets.markdown import escaped
from datashop_assets.storage.stage_folder import StageFolder

SHOWN = 8


def describe(folder: StageFolder) -> Mapping[str, str]:
    """Title -> markdown, for either of this room's stages."""
    if folder.manifest.stage == "evaluation":
        rows = folder.table(COMPARISON).to_dicts()
        return {"comparison": table(rows), "report": folder.file(REPORT).read_text()}
    return {"documents by kind and source": _counts(folder), "some documents": _examples(folder)}


def _counts(folder: StageFolder) -> str:
    lines = [f"| {escaped(name)} | {count} |" for name, count in folder.metrics["by_source"].items()]
    return "\n".join(["| kind: source | documents |", "| --- | --- |", *lines])


def _examples(folder: StageFolder) -> str:
    rows = folder.table(TARGETS).group_by("kind", maintain_order=True).head(SHOWN).to_dicts()
    lines = [f"| {row['kind']} | {escaped(row['id'])} | {escaped(row['source'])} |" for row in rows]
    return "\n".join(["| kind | id | source |", "| --- | --- | --- |", *lines])
