"""The stage that says what is asked of every document."""

from datashop_assets.prompts.prompt import Prompt
from datashop_assets.stage import Stage


def _rubric(prompt: Prompt) -> dict[str, str]:
    return {"rubric": prompt.rubric}


RUBRIC = Stage("rubric", code_version="1", inputs=(), config=_rubric, build="datashop_assets.rubric.build:build")
