"""The gates for those who run without Dagster's checks: the same figures stop the same prompts."""

from collections.abc import Iterator

from datashop_assets.annotations.describe import servers_said
from datashop_assets.annotations.gates import COLUMNS, GATES, Judged, spread_out
from datashop_assets.prompts.annotator_settings import AnnotatorSettings, Gate
from datashop_assets.storage.stage_folder import StageFolder


def judged_gate(gate: Gate, settings: AnnotatorSettings, annotations: StageFolder) -> tuple[Judged, bool]:
    """What one gate says, and whether it may stop a run of this prompt. Memory holds no text."""
    judged = GATES[gate](annotations.table(columns=COLUMNS), settings.gates)
    return judged, gate in settings.gates.blocks(settings.scoring)


def pass_gates(settings: AnnotatorSettings, annotations: StageFolder) -> list[str]:
    """What the gates say that are not passed and only warn, and a word where servers differ.

    Raises `ValueError` with what those say that stop a run, and the ids of documents to look at.
    """
    failed = [(gate, *found) for gate in GATES if not (found := judged_gate(gate, settings, annotations))[0].passed]
    if stopping := [f"{gate}: {_said(judged)}" for gate, judged, stops in failed if stops]:
        raise ValueError(
            f"annotations are not fit to be learnt from: {'; '.join(stopping)}. They are kept at {annotations.uri}; "
            "docs/annotations.md says what to look at. Thresholds: annotator.gates"
        )
    return [*(f"{gate}: {_said(judged)}" for gate, judged, _ in failed), *servers_said(annotations.metrics)]


def documents_of(judged: Judged, annotations: StageFolder) -> Iterator[dict[str, object]]:
    """The rows to look at, texts and all, read in a stream."""
    wanted = {row["id"] for row in spread_out(judged.look_at)}
    return (row for row in annotations.all_rows() if row["id"] in wanted)


def _said(judged: Judged) -> str:
    shown = ", ".join(str(row["id"]) for row in spread_out(judged.look_at))
    return judged.says + (f" (look at {shown})" if shown else "")
