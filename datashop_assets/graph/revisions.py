"""Whether the annotator at hand has another revision of the model than the one that a finished stage was answered by.

A plan digest holds the revision that a prompt names. Where it names none, the annotator's own counts, which is known
when it is asked; so the plan compares it with the one that the manifest records.
"""

from collections.abc import Mapping
from typing import Any

from datashop_assets.protocols.annotator import Annotator

REVISION = "the annotator's revision"


def another_revision(
    config: Mapping[str, Any], metrics: Mapping[str, Any], annotator: Annotator | None
) -> dict[str, str]:
    """`{REVISION: the one at hand}` where both are known and differ, and the prompt names none; else nothing.

    A model that the annotator at hand does not have says nothing: stages are made on other machines too.
    """
    answered, asked = metrics.get("question") or {}, config.get("asked", config)
    if annotator is None or not answered.get("revision") or asked.get("revision"):
        return {}
    try:
        _, revision = annotator.identity(answered["model"])
    except ValueError:
        return {}
    return {REVISION: revision} if revision not in ("", answered["revision"]) else {}
