"""What needs some documents of a shard reads no others."""

from pathlib import Path

import pytest

from datashop_assets.data_card.documents import annotated, samples, scan
from datashop_assets.documents import pool as reading
from datashop_assets.documents.pool import pool_shards, read_index
from datashop_assets.encoder.report import heldout_documents
from datashop_assets.prompt_comparison.compare import SHOWN, compare
from datashop_assets_tests.data_card.cards import browsable, card_run, names
from datashop_assets_tests.prompt_comparison.test_compare import DOCUMENTS, indexed, prompt


@pytest.fixture
def texts_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that is read from a pool's files and compared with its digest."""
    found: list[str] = []
    digest = reading.content_of

    def noted(text: str) -> str:
        found.append(text)
        return digest(text)

    monkeypatch.setattr(reading, "content_of", noted)
    return found


def test_gold_reads_held_out_documents(tmp_path: Path, texts_read: list[str]) -> None:
    pool = indexed(tmp_path, 2)
    rows = [row for shard in pool_shards(pool) for row in read_index(pool, shard)]
    wanted = [row["id"] for row in rows if row["split"] == "heldout"]
    assert [document.id for document in heldout_documents(pool)] == wanted
    assert 0 < len(texts_read) == len(wanted) < len(rows)


def test_a_comparison_reads_the_documents_that_it_shows(tmp_path: Path, texts_read: list[str]) -> None:
    pool = indexed(tmp_path, 2)
    rising = [n / DOCUMENTS for n in range(DOCUMENTS)]
    sides = [
        prompt(tmp_path / "up", pool, rising, DOCUMENTS // 2, 2),
        prompt(tmp_path / "down", pool, rising[::-1], DOCUMENTS // 2, 2),
    ]
    found = compare(sides)
    assert [len(one.documents) for one in found.apart] == [SHOWN, SHOWN]
    assert len(texts_read) == 2 * SHOWN < DOCUMENTS


def test_the_cards_samples_read_the_documents_that_they_show(tmp_path: Path, texts_read: list[str]) -> None:
    made = card_run(tmp_path)
    found, answers = scan(made, names(2)), annotated(made)
    shown = samples(made, found, answers)
    assert all(row["text"] for title in ("Best", "Just kept", "Rejected, but close") for row in shown[title])
    assert len(texts_read) == len({(row["shard"], row["row"]) for row in found.samples}) < 40


def test_the_cards_browser_reads_the_documents_that_fit(tmp_path: Path, texts_read: list[str]) -> None:
    found = browsable(card_run(tmp_path), 2, limit=12)
    assert 0 < len(texts_read) <= len(found.rows) <= 12
