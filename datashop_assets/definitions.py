"""Dagster's entry point: assets and checks of the graph, the job, what starts it, and the resources it runs on."""

from typing import Any

import dagster as dg

from datashop_assets.graph import GRAPH
from datashop_assets.orchestration.assets import assets, prompt_file
from datashop_assets.orchestration.profiles import profile, resources
from datashop_assets.orchestration.prompts_compared import prompts_compared
from datashop_assets.orchestration.sensor import JOB, prompt_sensor
from datashop_assets.settings import Settings, read_settings

# selected by name: Dagster warns that "*" is beta
DATASHOP = dg.define_asset_job(JOB, GRAPH.names, description="The whole graph, or a part of it, for one prompt.")


def definitions(settings: Settings, executor: dg.ExecutorDefinition | None = None, **others: Any) -> dg.Definitions:
    """All definitions of the chosen profile, with another executor or other resources in place of some of its own.

    Raises `ValueError` where `DATASHOP_PROFILE` does not fit the other settings: the UI shows it as a load error.
    """
    chosen = profile(settings)
    return dg.Definitions(
        assets=[prompt_file, *assets(GRAPH, settings.cards), prompts_compared],
        jobs=[DATASHOP],
        sensors=[prompt_sensor(GRAPH, settings.cards)],
        resources=resources(settings) | others,
        executor=executor or chosen.executor,
    )


defs = definitions(read_settings())
