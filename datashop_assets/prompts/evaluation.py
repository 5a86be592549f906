"""The section `evaluation`: what the comparison is measured on."""

from typing import Literal

from datashop_assets.prompts.data import Data
from datashop_assets.prompts.section import Count, Section


class Primary(Section):
    """The one measure that the verdict goes by. All others are corrected for being many."""

    documents: Literal["target", "general"] = "target"
    against: Literal["control", "matched"] = "control"


class Evaluation(Section):
    """What the comparison is measured on: documents named here, else gold labels, else the annotator's labels.

    `benchmarks` are documents that the models will be tested on elsewhere: what overlaps with them is not trained on.
    """

    targets: Data | None = None
    gold: tuple[str, ...] = ()
    benchmarks: tuple[Data, ...] = ()
    primary: Primary = Primary()
    target_documents: Count = 300
    general_documents: Count = 300
