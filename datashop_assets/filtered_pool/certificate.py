"""The certificate of a keep rule: annotator labels drawn from the scored pool, where a rule asks for one.

None of the rules that a prompt can name asks for one, and the stage says so; it is never skipped, so that lineage shows
that a filtered pool was not certified.
"""

import json

from datashop_assets.stage import Metrics, StageTask

CERTIFICATE = "certificate.json"


def build(task: StageTask) -> Metrics:
    """Metrics: the state, `not asked`."""
    certificate = {"state": "not asked"}
    task.output.put_bytes(CERTIFICATE, json.dumps(certificate).encode())
    return dict(certificate)
