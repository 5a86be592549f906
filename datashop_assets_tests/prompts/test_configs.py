"""What steps store of a prompt's sections: typed, with the JSON that plan digests hold, and read back as it was."""

from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter, ValidationError

from datashop_assets.prompts.annotator_settings import AnnotationQuestionConfig
from datashop_assets.prompts.encoder_settings import (
    CascadeEncoderConfig,
    EncoderConfig,
    FastTextConfig,
    StaticConfig,
    TransformerEncoderConfig,
)
from datashop_assets.prompts.keep_settings import (
    FractionRule,
    KeepRule,
    PrecisionRule,
    RecallRule,
    ThresholdRule,
    TokenBudgetRule,
)
from datashop_assets.prompts.prompt import Prompt, parse_prompt

LIKELIHOOD: dict[str, Any] = {
    "question": "{example}?",
    "answer_begins": "It is",
    "options": ["physics", "art"],
    "targets": ["art"],
}
COMMON = {"revision": "", "read_characters": 500, "reading": "head"}
SAMPLING = {"temperature": 0.1, "top_p": 1.0, "max_tokens": 256, "seed": 0}
DIGITS = {str(score): float(score) for score in range(6)}
FASTTEXT = {
    "dimensions": 16,
    "epochs": 5,
    "learning_rate": 0.5,
    "min_subword": 3,
    "max_subword": 5,
    "buckets": 50_000,
}
STATIC = {"model": "all-minilm-l6-v2", "words": None, "embed_pool": False}
TRANSFORMER = {"model": "all-minilm-l6-v2", "pooling": None, "head": "regression", "tune": "head"}
TRANSFORMER |= {"longest": 512, "windows": 4}
HEAD = {"epochs": 20, "learning_rate": 3e-4, "schedule": "constant", "warmup_fraction": 0.0, "batch": 32}
ALL = {"epochs": 3, "learning_rate": 5e-5, "schedule": "cosine", "warmup_fraction": 0.1, "batch": 32}


def prompt(**sections: Any) -> Prompt:
    fields = {"name": "Tides", "rubric": "{example}", "annotator": {"likelihood": LIKELIHOOD}, **sections}
    return parse_prompt(fields, "tides", "tides.yaml")


@pytest.mark.parametrize(
    ("annotator", "json"),
    [
        ({"likelihood": LIKELIHOOD}, {"model": "smollm2-135m-instruct", "likelihood": LIKELIHOOD}),
        ({"scoring": "generate", "likelihood": LIKELIHOOD}, {"model": "Llama-3.3-70B-Instruct"}),
        (
            {"scoring": "score_token", "model": "some/model", "gates": {"coverage": 0.5}},
            {"model": "some/model", "score_token": {"options": DIGITS, "answer_begins": ""}},
        ),
    ],
)
def test_a_question_holds_what_its_way_of_scoring_uses(annotator: dict[str, Any], json: dict[str, Any]) -> None:
    settings = prompt(annotator=annotator).annotator
    question = settings.question_config
    assert question.model_dump(mode="json") == {"scoring": settings.scoring, "sampling": SAMPLING, **COMMON, **json}
    assert AnnotationQuestionConfig.model_validate_json(orjson.dumps(question.model_dump(mode="json"))) == question


def test_a_second_annotator_replaces_what_it_names() -> None:
    second = {"model": "other/model", "revision": "abc", "scoring": "score_token"}
    annotator = prompt(annotator={"likelihood": LIKELIHOOD, "report": {"second": second}}).annotator
    first = annotator.question_config
    question = annotator.report.second_question_config(first)
    assert question == first.model_copy(update=second)
    assert question is not None
    assert question.model_dump(mode="json") == {**first.model_dump(mode="json"), **second}
    alone = prompt().annotator
    assert alone.report.second_question_config(first) is None


@pytest.mark.parametrize(
    ("cascade", "json"),
    [
        ({"encoder": "ab" * 16}, {"encoder": "ab" * 16}),
        (
            {"prompt": "Tides? {example}", "max_tokens": 8},
            {
                "question": {"scoring": "score_token", "score_token": {"options": DIGITS, "answer_begins": ""}},
                "prompt": "Tides? {example}",
            },
        ),
        (
            {"prompt": "Tides? {example}", "scoring": "generate", "max_tokens": 8},
            {"question": {"scoring": "generate"}, "prompt": "Tides? {example}"},
        ),
        (
            {"likelihood": LIKELIHOOD, "max_tokens": 8},
            {"question": {"scoring": "likelihood", "likelihood": LIKELIHOOD}, "prompt": ""},
        ),
    ],
)
def test_a_cascade_ranks_by_an_encoder_or_by_a_question(cascade: dict[str, Any], json: dict[str, Any]) -> None:
    settings = prompt(annotator={"likelihood": LIKELIHOOD, "cascade": cascade}).annotator.cascade
    assert settings is not None
    if "question" in json:
        sampling = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 8, "seed": 0}
        json = {**json, "question": {"model": "some/model", "sampling": sampling, **COMMON, **json["question"]}}
    ranking = settings.ranking_config("some/model")
    assert ranking.model_dump(mode="json") == json
    assert type(ranking).model_validate_json(orjson.dumps(json)) == ranking


@pytest.mark.parametrize(
    ("encoder", "kind", "json"),
    [
        ({"kind": "fasttext"}, FastTextConfig, {"kind": "fasttext", **FASTTEXT}),
        ({"epochs": 7}, StaticConfig, {"kind": "static", "static": STATIC}),
        (
            {"kind": "transformer"},
            TransformerEncoderConfig,
            {"kind": "transformer", "transformer": {**TRANSFORMER, "training": HEAD}},
        ),
        (
            {"kind": "transformer", "transformer": {"tune": "all", "epochs": 2}, "cascade": {}},
            CascadeEncoderConfig,
            {
                "kind": "transformer",
                "cascade": {"passes": 0.25},
                "transformer": {**TRANSFORMER, "tune": "all", "training": {**ALL, "epochs": 2}},
                **FASTTEXT,
            },
        ),
    ],
)
def test_an_encoder_holds_what_its_kind_depends_on(encoder: dict[str, Any], kind: type, json: dict[str, Any]) -> None:
    settings = prompt(encoder=encoder).encoder
    config = settings.encoder_config
    assert settings.config() == {"calibration": "platt", **json}
    assert type(config) is kind
    adapter: TypeAdapter[EncoderConfig] = TypeAdapter(EncoderConfig)
    assert adapter.validate_json(orjson.dumps(settings.config())) == config
    assert adapter.validate_python(config) is config


@pytest.mark.parametrize(
    ("keep", "rule"),
    [
        ({"fraction": 0.2, "labels": 9}, FractionRule(fraction=0.2, of="documents")),
        ({"fraction": 0.2, "of": "tokens"}, FractionRule(fraction=0.2, of="tokens")),
        ({"tokens": 1000}, TokenBudgetRule(budget=1000)),
        ({"threshold": 0.0}, ThresholdRule(threshold=0.0)),
        ({"recall": 0.9, "labels": 9}, RecallRule(recall=0.9, delta=0.05, labels=9)),
        ({"precision": 0.8, "labels": 9}, PrecisionRule(precision=0.8, delta=0.05, labels=9, design="anytime")),
    ],
)
def test_a_keep_rule_is_told_by_its_fields(keep: dict[str, Any], rule: KeepRule) -> None:
    settings = prompt(keep=keep).keep
    assert settings.keep_rule == rule
    adapter: TypeAdapter[KeepRule] = TypeAdapter(KeepRule)
    read = adapter.validate_json(orjson.dumps(settings.keep_rule.model_dump(mode="json")))
    assert (type(read), read) == (type(rule), rule)
    assert adapter.validate_python(rule) is rule


@pytest.mark.parametrize("rule", [{}, {"share": 0.1}, {"fraction": 0.1}, {"threshold": 0.5, "of": "tokens"}])
def test_a_rule_with_other_fields_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(KeepRule).validate_python(rule)


def test_a_processor_is_its_type_options_and_version() -> None:
    settings = prompt(annotator={"scoring": "generate"}, processor={"type": "medu"}).processor
    assert settings.processor_config.model_dump() == {"type": "medu", "options": {}, "version": "5"}
