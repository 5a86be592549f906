"""The digests under which answers are stored stay what they are, however code or plans change: nothing is asked again.

`golden_questions.json` holds the digest of every question that the prompts of `golden_plans` ask, of an annotator that
names models `maker/<model>` and has revision 1.
"""

import json
from pathlib import Path

from datashop_assets.prompts.annotator_settings import QuestionRankingConfig
from datashop_assets.prompts.prompt import Prompt, load_prompt
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.graph.golden_plans import KINDS, SHIPPED, prompt_of

GOLDEN = Path(__file__).with_name("golden_questions.json")


def questions(prompt: Prompt) -> dict[str, str]:
    """Of the first annotator, the second, and the first pass of a cascade, as far as the prompt has them."""
    annotator, settings, rubric = WordCounter(), prompt.annotator, prompt.rubric or "written {example}"
    first = settings.question_config
    asked = {"first": first.resolve(rubric, annotator).digest}
    if (second := settings.report.second_question_config(first)) is not None:
        asked["second"] = second.resolve(rubric, annotator).digest
    ranking = settings.cascade and settings.cascade.ranking_config(settings.model)
    if isinstance(ranking, QuestionRankingConfig):
        asked["cascade"] = ranking.question.resolve(ranking.prompt, annotator).digest
    return asked


def test_no_question_of_shipped_prompts_and_of_every_kind_of_setting_has_changed() -> None:
    prompts = {path.stem: load_prompt(path) for path in sorted(SHIPPED.glob("*.yaml"))}
    prompts |= {kind: prompt_of(kind) for kind in KINDS}

    assert {name: questions(prompt) for name, prompt in prompts.items()} == json.loads(GOLDEN.read_text())


def test_a_question_by_likelihood_is_the_same_without_the_rubric() -> None:
    """Which is no input of it: see `shows_rubric`."""
    question = load_prompt(SHIPPED / "mathematics.yaml").annotator.question_config
    asked = {question.resolve(rubric, WordCounter()).digest for rubric in ("", "Score {example}")}

    assert not question.shows_rubric
    assert len(asked) == 1
