"""The sections `annotator` and `processor` of a prompt file."""

from pathlib import Path

import pytest

from datashop_assets.annotations.steps import annotations
from datashop_assets.asking.replies import OptionParsing, ProcessorConfig, WrittenParsing
from datashop_assets.prompts.parsing import PromptError
from datashop_assets.prompts.prompt import Prompt, load_prompt

LIKELIHOOD = "{question: 'What is {example}?', answer_begins: It is, targets: [physics]}"


def load(folder: Path, annotator: str, rest: str = "") -> Prompt:
    file = folder / "tides.yaml"
    file.write_text(f"name: Tides\nrubric: Score {{example}}.\nannotator: {annotator}\n{rest}")
    return load_prompt(file)


@pytest.mark.parametrize(
    ("annotator", "rest", "named"),
    [
        ("{scoring: guess}", "", ["annotator.scoring", "'guess'"]),
        ("{scoring: score_token, score_token: {options: {good: 1}}}", "", ["score_token.options", "at least 2"]),
        ("{scoring: score_token, score_token: {options: {a: 1, b: 1}}}", "", ["the same score", "give at least two"]),
        ("{scoring: score_token, score_token: {options: {a: 1, b: 6}}}", "", ["options.b", "6", "less than or equal"]),
        ("{scoring: generate, sampling: {temperature: -1}}", "", ["sampling.temperature", "-1"]),
        ("{scoring: generate, reading: tail}", "", ["annotator.reading", "tail", "'head' or 'windows'"]),
        ("{scoring: generate, gates: {coverage: 1.5}}", "", ["gates.coverage", "1.5"]),
        ("{scoring: generate, gates: {length_score: [0.5, 0.1]}}", "", ["length_score is a band", "lower end first"]),
        ("{scoring: generate, gates: {blocking: [speed]}}", "", ["gates.blocking", "speed"]),
        ("{scoring: generate}", "processor: {type: 'os:path'}", ["processor", "is a module, not a class"]),
        ("{scoring: generate}", "processor: {type: 'gone.away:X'}", ["processor", "cannot be imported", "PYTHONPATH"]),
        ("{scoring: generate}", "processor: {type: medu, options: {a: 1}}", ["processor", "takes no arguments"]),
    ],
)
def test_a_bad_section_is_named_by_field_value_and_fix(
    tmp_path: Path, annotator: str, rest: str, named: list[str]
) -> None:
    with pytest.raises(PromptError) as error:
        load(tmp_path, annotator, rest)
    assert all(part in str(error.value) for part in named), str(error.value)


def test_a_wrong_way_of_scoring_is_the_only_problem_of_its_section(tmp_path: Path) -> None:
    """The model's default follows from it."""
    with pytest.raises(PromptError) as error:
        load(tmp_path, "{scoring: generat}")
    assert [problem.field for problem in error.value.problems] == ["annotator.scoring"]
    assert "PydanticUndefined" not in str(error.value)


def test_only_what_the_way_of_scoring_uses_is_in_the_configuration(tmp_path: Path) -> None:
    likelihood = f"likelihood: {LIKELIHOOD}"
    plain = load(tmp_path, f"{{{likelihood}}}")
    same = load(
        tmp_path,
        f"{{{likelihood}, score_token: {{answer_begins: So}}, gates: {{coverage: 0.5}}}}",
        "processor: {type: medu}",
    )
    other = load(tmp_path, f"{{{likelihood}, sampling: {{seed: 1}}}}")
    assert annotations.configure(plain) == annotations.configure(same)
    assert annotations.configure(plain) != annotations.configure(other)


def test_each_way_of_scoring_has_its_own_parsing(tmp_path: Path) -> None:
    medu = "processor: {type: medu}"
    by_likelihood = load(tmp_path, f"{{likelihood: {LIKELIHOOD}}}").scoring_config.parsing
    assert isinstance(by_likelihood, OptionParsing)
    assert {option for option, score in by_likelihood.scores.items() if score} == {"physics"}
    by_token = load(tmp_path, "{scoring: score_token}").scoring_config.parsing
    assert by_token == OptionParsing(scores={str(score): score for score in range(6)})
    written = load(tmp_path, "{scoring: generate}", medu).scoring_config.parsing
    assert written == WrittenParsing(processor=ProcessorConfig(type="medu", options={}, version="5"))


@pytest.mark.parametrize(
    ("annotator", "model"),
    [
        (f"{{likelihood: {LIKELIHOOD}}}", "smollm2-135m-instruct"),
        ("{scoring: generate}", "Llama-3.3-70B-Instruct"),
        ("{scoring: score_token}", "Llama-3.3-70B-Instruct"),
        ("{scoring: generate, model: my/own}", "my/own"),
    ],
)
def test_who_is_asked_where_the_file_names_nobody(tmp_path: Path, annotator: str, model: str) -> None:
    assert load(tmp_path, annotator).annotator.model == model
