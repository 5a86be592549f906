"""What a declaration says of a result by the names of its fields is true of the result."""

from collections import defaultdict
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest

from datashop_assets import data_card
from datashop_assets.core.step import StepResult
from datashop_assets.data_card.results import DataCardResult
from datashop_assets.graph import GRAPH
from datashop_assets_tests.graph.golden_plans import KINDS, prompt_of

RESULTS = [step.result for step in GRAPH]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.step)
def test_headlines_and_what_is_volatile_are_fields_of_the_result(result: type[StepResult]) -> None:
    named = {path.partition(".")[0] for path in result.headlines} | result.volatile
    assert named <= set(result.model_fields), result.step


def test_status_has_a_headline_for_labels_model_pool_its_test_and_verdict() -> None:
    assert {result.step for result in RESULTS if result.headlines} == {
        *("annotations", "encoder", "filtered_pool", "blind_test", "evaluation", "sensitivity")
    }


def types_of(annotation: Any) -> frozenset[Any]:
    """The types that a field's values may have."""
    if get_origin(annotation) is Annotated:
        return types_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return frozenset().union(*map(types_of, get_args(annotation)))
    return frozenset({annotation})


def test_a_field_of_configurations_has_one_type_in_all_steps() -> None:
    """One name that was a mapping in some steps and a flag in others was read as the wrong one."""
    prompts = [prompt_of(kind) for kind in KINDS]
    found: dict[str, dict[str, frozenset[Any]]] = defaultdict(dict)
    for step in GRAPH:
        if step.name == DataCardResult.step:  # has the sections of the prompt file as they are written
            continue
        for config in filter(None, map(step.configure, prompts)):
            for name, field in type(config).model_fields.items():
                found[name][step.name] = types_of(field.annotation)
    assert {"question", "parsing", "rule"} <= set(found)
    for name, types in found.items():
        widest = max(types.values(), key=len)
        assert all(each <= widest for each in types.values()), f"{name}: {types}"


def test_the_card_opens_no_folder_that_is_not_one_of_its_inputs() -> None:
    """It once cut the root out of its own address and read a step there that it did not declare."""
    texts = {path.name: path.read_text() for path in Path(data_card.__path__[0]).glob("*.py")}
    assert "build.py" in texts
    ways = ("storage.root", "storage.folders", "StageFolder(", "Folder(", "fsspec", ".parent")
    assert [(name, way) for name, text in texts.items() for way in ways if way in text] == []
