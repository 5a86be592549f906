"""How a finished stage looks to a person: its room's own words, as Markdown."""

import importlib
from collections.abc import Mapping

from datashop_assets.graph.stage import Stage
from datashop_assets.storage.stage_folder import StageFolder


def described(folder: StageFolder, stage: Stage) -> Mapping[str, str]:
    """Title -> Markdown, as the room that makes the stage describes it."""
    room = stage.build.rpartition(".")[0]
    found: Mapping[str, str] = importlib.import_module(f"{room}.describe").describe(folder)
    return found
