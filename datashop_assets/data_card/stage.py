"""The last stage: the page a person reads. It reads every other one."""

from collections.abc import Sequence
from typing import Any

from datashop_assets.graph.stage import Stage
from datashop_assets.prompts.prompt import Prompt


def data_card(stages: Sequence[Stage]) -> Stage:
    """The declaration of `data_card` for a graph that has these stages before it."""
    return Stage(
        "data_card",
        code_version="4",
        inputs=tuple(stage.name for stage in stages),
        config=_card,
        build="datashop_assets.data_card.build:build",
    )


def _card(prompt: Prompt) -> dict[str, Any]:
    """All that the prompt says: the card shows every setting. Whether a sensor starts it changes no figure."""
    return prompt.model_dump(mode="json", exclude={"automatic"})
