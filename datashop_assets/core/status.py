"""What is there for every prompt, as `datashop status` prints it."""

from collections.abc import Callable, Collection
from typing import Any

from datashop_assets.core.plan import Plan, PlannedStep
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.prompts.store import PromptStore


def status(store: PromptStore, plan: Callable[[Prompt], Plan], slugs: Collection[str] = ()) -> dict[str, Any]:
    """`{"prompts": {slug: {step: {...}}}, "problems": {slug: text}}` of `slugs` or of all prompts, as JSON values.

    A step has `state`, `reason`, `digest` and `path`; a current or incomplete one also `content_digest`, `rows`,
    `seconds`, `metrics` and `failed_calls`.
    """
    prompts, problems = {}, {} if slugs else {slug: str(error) for slug, error in store.problems().items()}
    for slug in slugs or store.slugs():
        try:
            prompts[slug] = status_of(plan(store.load(slug)))
        except (OSError, ValueError) as error:  # a source that cannot be listed stops its own prompt only
            problems[slug] = str(error)
    return {"prompts": prompts, "problems": problems}


def status_of(planned: Plan) -> dict[str, dict[str, Any]]:
    return {name: _step(one) for name, one in planned.items()}


def _step(planned: PlannedStep) -> dict[str, Any]:
    known = {
        "state": planned.state.value,
        "reason": planned.reason,
        "digest": planned.digest,
        "path": planned.folder.uri,
    }
    if not planned.usable:
        return {**known, "rows": 0, "seconds": 0.0, "metrics": {}}
    manifest = planned.output.manifest
    return {
        **known,
        "content_digest": manifest.content_digest,
        "rows": manifest.rows,
        "seconds": manifest.seconds,
        "metrics": manifest.metrics,
        "failed_calls": planned.failed_calls,
    }
