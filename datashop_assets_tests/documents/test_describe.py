from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.core.step import StepOutput
from datashop_assets.documents.describe import describe_pool, describe_sample
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.markdown import escaped
from datashop_assets_tests.documents.making import make_pool, make_sample, write_lines

HOSTILE = b'{"id": "h", "text": "<script>alert(1)</script> | **bold** `code`\\n# head", "source": "a|b"}'


@pytest.fixture
def pool(tmp_path: Path) -> StepOutput[PretrainingPoolResult]:
    write_lines(tmp_path / "pool.jsonl", [HOSTILE, b"{", b'{"text": "plain"}'])
    return make_pool(f"{tmp_path}/pool.jsonl", tmp_path / "out", fraction=1e-9)


def test_a_pool_shows_its_counts_rejects_and_documents(pool: StepOutput[PretrainingPoolResult]) -> None:
    shown = describe_pool(pool)
    assert list(shown) == ["documents by source", "rejects", "left out", "some documents"]
    assert "| a\\|b | 1 | 0 | 0.00 |" in shown["documents by source"]
    assert "| broken json | 1 |" in shown["rejects"]
    assert "pool row 1" in shown["rejects"]
    assert "| pool:2 | unknown | plain |" in shown["some documents"]


def test_text_of_documents_does_nothing_in_the_page(pool: StepOutput[PretrainingPoolResult]) -> None:
    line = describe_pool(pool)["some documents"].splitlines()[2]
    assert "&lt;script&gt;alert\\(1\\)&lt;/script&gt; \\| \\*\\*bold\\*\\* \\`code\\` \\# head" in line
    assert "<" not in line


def test_a_sample_shows_how_it_was_drawn(pool: StepOutput[PretrainingPoolResult], tmp_path: Path) -> None:
    shown = describe_sample(make_sample(f"{tmp_path}/pool.jsonl", tmp_path / "out", pool, 10))
    assert "| drawn | 2 |" in shown["sample"]
    assert "| asked for | 10 |" in shown["sample"]


@given(st.text())
def test_any_text_becomes_one_cell(text: str) -> None:
    cell = escaped(text)
    assert len(cell.splitlines()) <= 1
    assert "|" not in cell.replace("\\|", "")
