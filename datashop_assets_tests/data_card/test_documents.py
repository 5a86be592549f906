"""Which documents can be browsed, and how they travel in the page."""

import base64
import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest

from datashop_assets.data_card.documents import COLUMNS, Browsed, by_probability
from datashop_assets_tests.data_card.cards import browsable, card_run


def unpacked(found: Browsed) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(gzip.decompress(base64.b64decode(found.payload())))
    return value


def test_every_document_of_a_small_pool_is_there_with_what_was_said_of_it(tmp_path: Path) -> None:
    found = browsable(card_run(tmp_path), 2)
    assert found.documents == len(found.rows) == 40
    answered = [row for row in found.rows if row["status"] == "parsed"]
    assert len(answered) == 10
    assert all(row["reply"] and row["unseen"] is not None and row["score"] is not None for row in answered)
    assert {row["status"] for row in found.rows} == {"parsed", "not asked"}


def test_a_pool_as_large_as_the_limit_is_there_as_a_whole(tmp_path: Path) -> None:
    found = browsable(card_run(tmp_path), 2, limit=40)
    assert (len(found.rows), found.documents) == (40, 40)


def test_a_large_pool_is_a_sample_that_keeps_annotated_documents(tmp_path: Path) -> None:
    found = browsable(card_run(tmp_path), 2, limit=12)
    assert found.documents == 40
    assert len(found.rows) <= 12
    assert sum(row["status"] == "parsed" for row in found.rows) >= 6
    assert sum(row["status"] == "not asked" for row in found.rows) > 0


def test_the_payload_holds_every_row_and_is_the_same_each_time(tmp_path: Path) -> None:
    found = browsable(card_run(tmp_path), 2)
    value = unpacked(found)
    assert found.payload() == found.payload()
    assert set(value["columns"]) == set(COLUMNS)
    sources = [value["names"]["source"][code] for code in value["columns"]["source"]]
    assert sources == [row["source"] for row in found.rows]
    assert value["columns"]["text"] == [row["text"] for row in found.rows]


def test_probabilities_are_read_from_the_likeliest_answer_down() -> None:
    assert by_probability('{"history": 0.1, "mathematics": 0.9}') == "0.900 mathematics\n0.100 history"


@pytest.mark.parametrize("raw", ["", "Final score: 3", "[0.1, 0.9]", '{"a": "b"}', '{"a": 1, "b": "c"}', "3"])
def test_a_reply_that_is_no_probabilities_stays_as_it_is(raw: str) -> None:
    assert by_probability(raw) == raw
