"""A figure keeps its ends in order, is written in one way, and comes back from a manifest and from JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from datashop_assets.statistics.figure import Figure

NUMBERS = st.floats(-1e6, 1e6)


@st.composite
def figures(draw: st.DrawFn) -> Figure:
    value = draw(NUMBERS)
    if draw(st.booleans()):
        return Figure(value=value)
    low, high = sorted((draw(NUMBERS), draw(NUMBERS)))
    return Figure(value=value, low=low, high=high)


@given(figures())
def test_it_comes_back_from_json(figure: Figure) -> None:
    assert Figure.from_json(json.loads(json.dumps(figure.as_json()))) == figure


def test_what_was_not_measured_is_none() -> None:
    assert Figure.from_json({"value": None, "low": None, "high": None}) is None
    assert Figure.from_json(None) is None


def test_it_is_a_field_of_a_result() -> None:
    class Result(BaseModel):
        auc: Figure

    result = Result(auc=Figure(value=0.9, low=0.8, high=0.95))
    assert Result.model_validate_json(result.model_dump_json()) == result


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ({"low": 0.1}, "both ends of its interval or none"),
        ({"low": 0.9, "high": 0.1}, "low end 0.9 is above its high end 0.1"),
        ({"low": float("nan"), "high": 1.0}, "finite number"),
    ],
)
def test_ends_that_are_no_interval_are_refused(ends: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Figure(value=0.5, **ends)


def test_it_is_written_with_its_ends_where_they_say_something() -> None:
    figure = Figure(value=0.9, low=0.8, high=0.95)
    assert str(figure) == f"{figure}" == "0.900 (0.800 to 0.950)"
    assert f"{figure:+.2f}" == "+0.90 (+0.80 to +0.95)"
    assert figure.text(lambda share: f"{share:.0%}") == "90% (80% to 95%)"
    assert figure.interval() == "0.800 to 0.950"
    assert f"{Figure(value=0.9)}" == f"{Figure.exact(0.9)}" == "0.900"
    assert Figure(value=0.9).interval() == "none"


def test_sums_and_multiples_carry_their_ends() -> None:
    one, two = Figure(value=2.0, low=1.0, high=4.0), Figure.within_factor(3.0, 3.0)
    assert (two.low, two.high) == (1.0, 9.0)
    assert one.plus(two) == Figure(value=5.0, low=2.0, high=13.0)
    assert one.times(0.5) == Figure(value=1.0, low=0.5, high=2.0)
    assert one.plus(Figure(value=1.0)) == Figure(value=3.0)
    assert Figure(value=1.0, low=-2.0, high=4.0).at_least(0.0) == Figure(value=1.0, low=0.0, high=4.0)
