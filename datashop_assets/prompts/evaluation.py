"""The section `evaluation`: what the comparison is measured on."""

from datashop_assets.prompts.data import Data
from datashop_assets.prompts.section import Count, Section


class Evaluation(Section):
    """What the comparison is measured on: documents named here, else gold labels, else the annotator's labels."""

    targets: Data | None = None
    gold: tuple[str, ...] = ()
    target_documents: Count = 300
    general_documents: Count = 300
