"""The last step: the page a person reads. It reads every other one."""

from collections.abc import Mapping

from datashop_assets.core.step import EVERY_STEP_BEFORE, StepOutput, StepRun, step
from datashop_assets.data_card.results import DataCardConfig, DataCardResult


def _describe(output: StepOutput[DataCardResult]) -> Mapping[str, str]:
    """What the UI shows of a card: the card itself, as Markdown, without its YAML head."""
    text = output.file("card.md").read_text()
    return {"card": text.split("\n---\n", 1)[-1].strip()}


@step(
    result=DataCardResult,
    inputs=EVERY_STEP_BEFORE,
    configure=DataCardConfig.of,
    version="9",
    group="6_card",
    kinds={"html"},
    describe=_describe,
)
def data_card(run: StepRun[DataCardConfig]) -> DataCardResult:
    """One page about this prompt: rubric, funnel, scores, what is kept, the comparison, and documents to read.

    `path` is the page; `documents.html` beside it shows up to 100,000 documents. Both need no network.
    """
    from datashop_assets.data_card.build import build

    return build(run)
