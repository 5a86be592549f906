"""Where prompts and results are, as a Dagster resource: the environment is read when a run starts, not at import."""

import dagster as dg

from datashop_assets.prompts.store import PromptStore, default_prompts
from datashop_assets.storage.root import default_root


@dg.resource(description="The prompts of DATASHOP_PROMPTS, and the results under DATASHOP_ROOT.")
def prompt_store(_: dg.InitResourceContext) -> PromptStore:
    return PromptStore(default_prompts(), default_root())
