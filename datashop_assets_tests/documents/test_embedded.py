"""The embedded pool, from the real data packages."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from datashop_assets.data_packages import data_file, installed_data
from datashop_assets.datasets import EMBEDDED_DIGEST, EMBEDDED_GOLD
from datashop_assets.documents import embedded
from datashop_assets.documents.embedded import DOCUMENTS, LEADS, embedded_pool, load_gold
from datashop_assets.documents.reading import read_documents
from datashop_assets.documents.sources import Fields, find_source_files
from datashop_assets.protocols.documents import Document

MATHEMATICS = {"Mathematics", "sympy", "mpmath"}


@pytest.fixture(scope="module")
def documents(embedded_cache: Path) -> list[Document]:
    files = find_source_files(str(embedded_pool(embedded_cache, installed_data()) / DOCUMENTS))
    found = [one for file in files for one in read_documents(file, Fields())]
    return [one for one in found if isinstance(one, Document)]


def test_it_holds_leads_and_docstrings_in_four_shards(embedded_cache: Path, documents: list[Document]) -> None:
    assert Counter(one.source for one in documents) == {"wikipedia": 10_033, "docstring": 1_676}
    assert len({one.id for one in documents}) == len({one.text for one in documents}) == len(documents)
    assert len(find_source_files(str(embedded_pool(embedded_cache, installed_data()) / DOCUMENTS))) == 4


def test_gold_says_what_a_twelfth_of_it_is_about_mathematics(embedded_cache: Path, documents: list[Document]) -> None:
    gold = load_gold(embedded_cache, installed_data(), "embedded")
    labels = Counter(gold.get(one.id) for one in documents)
    assert labels[None] == 1000
    assert sorted(set(gold.values())) == sorted(EMBEDDED_GOLD)
    assert sum(labels[label] for label in MATHEMATICS) == 956
    assert (labels["sympy"], labels["mpmath"], labels["click"]) == (560, 140, 122)


def test_no_row_says_its_topic_or_package(documents: list[Document]) -> None:
    assert {tuple(one.fields) for one in documents} == {("id", "text", "source", "title")}
    assert not any("sympy" in one.id or "mpmath" in one.id for one in documents)


def test_every_shard_is_a_mixture(documents: list[Document]) -> None:
    quarters = [documents[start : start + 2927] for start in range(0, len(documents), 2928)]
    for quarter in quarters:
        assert 0.12 < sum(one.source == "docstring" for one in quarter) / len(quarter) < 0.17


def test_other_pools_have_no_gold(tmp_path: Path) -> None:
    assert load_gold(tmp_path, installed_data(), "/data/*.jsonl") == {}


def test_two_processes_at_once_make_one_pool(made_by_two: tuple[Path, list[str]]) -> None:
    cache, printed = made_by_two
    assert printed == [str(cache / f"embedded-{EMBEDDED_DIGEST}")] * 2
    assert [path.name for path in cache.iterdir()] == [f"embedded-{EMBEDDED_DIGEST}"]


def test_other_versions_of_the_data_packages_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data" / LEADS).parent.mkdir(parents=True)
    shutil.copy(data_file(LEADS, installed_data()), tmp_path / "data" / LEADS)
    monkeypatch.setattr(embedded, "docstrings", lambda _: [])
    with pytest.raises(ValueError, match=rf"digest [0-9a-f]{{32}}, not {EMBEDDED_DIGEST}; run `make env`"):
        embedded_pool(tmp_path / "cache", tmp_path / "data")
    assert list((tmp_path / "cache").iterdir()) == []
