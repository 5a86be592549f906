"""What stages ask the annotator, in tokens: annotation and all that asks beside it."""

from collections.abc import Mapping
from typing import Any

from datashop_assets.annotations.design import Design, design_of
from datashop_assets.annotations.sample import index_of
from datashop_assets.core.plan import Plan
from datashop_assets.estimating.pilot import Pilot, stated_tokens
from datashop_assets.statistics.figure import Figure

FIRST_PASS = 200  # documents whose length tells what the first pass of a cascade reads


def asked_tokens(name: str, plan: Plan, pilot: Pilot) -> Figure | None:
    """Tokens that a stage reads and writes; None for one that asks nothing.

    A second annotator, and one that certifies, is taken to read a document for as many tokens as the pilot. A written
    rubric is made before the pilot.
    """
    config = plan[name].config
    if name == "annotations":
        design = _design(plan)
        return pilot.tokens.times(design.asked).plus(_first_pass(plan, design))
    if name == "annotator_report":
        second = config["second"] or {"documents": 0}
        return _asked(pilot, config["again"]["documents"] + second["documents"])
    if name == "keep_certificate" and config["asked"]:
        return _asked(pilot, config["keep"]["labels"])
    return None


def _asked(pilot: Pilot, documents: int) -> Figure | None:
    return pilot.tokens.times(documents) if documents else None


def _first_pass(plan: Plan, design: Design) -> Figure:
    """Of all documents that the first round left, where an annotator ranks them."""
    cascade: Mapping[str, Any] = plan["annotations"].config.get("cascade", {})
    if "asked" not in cascade:
        return Figure.exact(0.0)
    return stated_tokens(plan, cascade["asked"], cascade["prompt"], FIRST_PASS).times(
        design.first.size - design.first.drawn
    )


def _design(plan: Plan) -> Design:
    return design_of(len(index_of(plan["annotation_sample"].output)), plan["annotations"].config)
