"""`datashop prompts pin`: the rubric that was written becomes part of the file, and nothing is asked for that."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from datashop_assets.cli import main
from datashop_assets.core.build import make_step
from datashop_assets.core.step import Resources
from datashop_assets.graph import plan
from datashop_assets.prompts.store import PromptStore
from datashop_assets.rubric.results import rubric_text
from datashop_assets.storage.root import Root
from datashop_assets_tests.rubric.scribes import Scribbler

FILE = """\
name: Rings  # kept
targets:
  algebra: ["a ROOT {x}", "a RING", "a FIELD"]
annotator:
  scoring: generate
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PromptStore:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "rings.yaml").write_text(FILE)
    monkeypatch.setenv("DATASHOP_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("DATASHOP_PROMPTS", str(tmp_path / "prompts"))
    return PromptStore(tmp_path / "prompts", Root(str(tmp_path / "root")))


def test_a_rubric_that_is_not_written_yet_cannot_be_pinned(store: PromptStore) -> None:
    found = CliRunner().invoke(main, ["prompts", "pin", "rings"])

    assert found.exit_code == 2
    assert "run `datashop run rings --until rubric` first" in found.output
    assert (store.folder / "rings.yaml").read_text() == FILE


def test_the_written_rubric_is_pinned_and_asks_what_was_asked_before(store: PromptStore) -> None:
    written = make_step("rubric", plan(store.load("rings"), store.root), Resources(Scribbler())).output
    found = CliRunner().invoke(main, ["prompts", "pin", "rings"])
    prompt = store.load("rings")
    given = make_step("rubric", plan(prompt, store.root), Resources()).output

    assert found.exit_code == 0, found.output
    assert prompt.targets is None
    assert rubric_text(given) == rubric_text(written)
    assert '#   algebra: ["a ROOT {x}", "a RING", "a FIELD"]' in (store.folder / "rings.yaml").read_text()
    assert CliRunner().invoke(main, ["prompts", "pin", "rings"]).exit_code == 2  # there is nothing left to pin
