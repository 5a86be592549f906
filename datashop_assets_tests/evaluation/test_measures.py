"""What is measured, and what a primary measure needs."""

import numpy as np
import pytest

from datashop_assets.evaluation.heldout import Heldout
from datashop_assets.evaluation.measures import measures


def test_a_primary_measure_without_documents_is_refused_with_what_to_name() -> None:
    documents = [Heldout(f"d{number}", "target", "web", 10, np.ones(3, np.int32)) for number in range(3)]
    bits = {"control": np.ones((2, 3)), "trained": np.ones((2, 3))}
    told = r"evaluation.primary.documents is general, and no held-out document is general; name the other kind"
    with pytest.raises(ValueError, match=told):
        measures(bits, documents, {"documents": "general", "against": "control"})
