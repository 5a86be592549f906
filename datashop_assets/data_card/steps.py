"""The last stage: the page a person reads. It reads every other one."""

from collections.abc import Mapping
from typing import Any

from datashop_assets.core.step import StepOutput, StepRun, step
from datashop_assets.data_card.results import CARD_INPUTS, DataCardResult
from datashop_assets.prompts.prompt import Prompt


def _card(prompt: Prompt) -> dict[str, Any]:
    """All that the prompt says: the card shows every setting. Whether a sensor starts it changes no figure."""
    return prompt.model_dump(mode="json", exclude={"automatic"})


def describe(output: StepOutput[Any]) -> Mapping[str, str]:
    from datashop_assets.data_card.describe import describe

    return describe(output)


@step(
    result=DataCardResult,
    inputs=CARD_INPUTS,
    configure=_card,
    version="5",
    group="6_card",
    kinds={"html"},
    describe=describe,
)
def data_card(run: StepRun[dict[str, Any]]) -> DataCardResult:
    """One page about this prompt: rubric, funnel, scores, what is kept, the comparison, and documents to read.

    `path` is the page; `documents.html` beside it shows up to 100,000 documents. Both need no network.
    """
    from datashop_assets.data_card.build import build

    return DataCardResult.model_validate(build(run))
